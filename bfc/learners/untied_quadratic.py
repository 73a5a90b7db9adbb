"""The paper's own learner (Allen-Zhu & Li, arXiv:2001.04413, section 3; recalled, not checked
against the text): every level has a wide part W that fits the label and a narrow part K that
carries its features upwards, tied to each other only by regularisers (distillation). It exists
beside the tied network because Algorithm 1 is stated for it; what is gained by being untied is a
thing to measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.learners.quadratic_densenet import Features, Products, QuadraticDenseNet
from bfc.types import Draw, Learner, Params, Stage, Target

DISTILL = ("distill_cross", "distill_previous", "distill_all")
"""lambda_3, lambda_4 and lambda_5 of the paper; lambda_6 is ``decay``."""


@dataclass(frozen=True)
class UntiedQuadratic(QuadraticDenseNet):
    """g(x) = bias + sum_l scale_l (Sum(F_l) - mean) with F_l = σ(W_l v_l) of width ``wide`` and v_l
    the inputs of level l: x and (x² - 1)/sqrt 2 themselves, and of a level j >= 2 below it σ(R_j
    S_j) - mean, where S_j = K_j v_j (p_j features) and R_j is fixed and random with unit rows, p_j
    (p_j + 1) / 2 of them, so that σ(R_j S_j) spans all products of S_j.

    ``W l _ j`` and ``K l _ j`` are the blocks of W_l and K_l that read source j; both belong to
    group ``level l``. K_l is zero until a phase needs it, that is until a level above l is there or
    a distillation regulariser of l is on; then it starts by InitDistill. Group ``readout l``
    replaces Sum(F_l) by free coefficients per unit, which start at scale_l.

    Regularisers (prev: the block of the highest source, level l - 1; rest: the other blocks):
    ``distill_cross l`` (lambda_3) |K_prev' K_rest - W_prev' W_rest|², ``distill_previous l``
    (lambda_4) |K_prev' K_prev - W_prev' W_prev|², ``distill_all l`` (lambda_5) |K' K - W' W|²,
    ``decay l`` (lambda_6) |K|² + |W|², all squared Frobenius norms.
    """

    identity_name: ClassVar[str] = "bfc.learners.untied_quadratic.UntiedQuadratic"
    version: ClassVar[int] = 1
    vjp = Learner.vjp

    wide: int = 12
    """m, units of every F_l; at least the widths p_l."""
    truncate: float | None = None
    """B of the truncated square: z² up to |z| = B, then with falling slope up to 2 B², constant
    from |z| = 2 B; null: z²."""
    distill: Literal["cross", "whole"] = "whole"
    """InitDistill from the top singular vectors of W_prev' W_rest, as recalled from the paper, or
    of W_l itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.wide >= max(self.widths or (1,)),
            "learner.wide",
            self.wide,
            "an integer >= learner.widths",
        )
        require(
            self.truncate is None or 0 < self.truncate < float("inf"),
            "learner.truncate",
            self.truncate,
            "null or a number > 0",
        )

    def check(self, target: Target) -> None:
        super().check(target)
        widest = max(self._width(target, level) for level in target.levels)
        require(
            self.wide >= widest,
            "learner.wide",
            self.wide,
            f"an integer >= {widest}, the widest narrow part",
        )

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        wide = {
            f"level{level}": tuple(f"W{level}_{j}" for j in target.below(level))
            for level in target.levels
        }
        return {
            name: (*names, *wide.get(name, ())) for name, names in super().groups(target).items()
        }

    def penalties(self, target: Target) -> tuple[str, ...]:
        return tuple(f"{name}{level}" for level in target.levels for name in (*DISTILL, "decay"))

    def init_params(self, target: Target, draw: Draw) -> Params:
        first = next(iter(draw.revealed.values()))
        cast = {"dtype": first.dtype, "device": first.device}
        params: Params = {"bias": torch.zeros(len(draw.seeds), 1, **cast)}
        for i, level in enumerate(target.levels):
            p = self._width(target, level)
            for j in target.below(level):
                fan_in = self._fan_in(target, j)
                w = random.normal(draw.seeds, f"init/W{level}_{j}", (self.wide, fan_in), **cast)
                params[f"W{level}_{j}"] = w * (self.init / fan_in**0.5)
                params[f"K{level}_{j}"] = torch.zeros(len(draw.seeds), p, fan_in, **cast)
            known = draw.revealed["scale"][:, i : i + 1]
            params[f"scale{level}"] = (
                known.clone()
                if self.alpha == "known"
                else torch.full_like(known, (2 * self.wide) ** -0.5)
            )
            params[f"Q{level}"] = self._fixed(params, level)
            spread = random.normal(draw.seeds, f"init/R{level}", (p * (p + 1) // 2, p), **cast)
            params[f"R{level}"] = spread / spread.norm(dim=2, keepdim=True)
        return params

    def _fixed(self, params: Params, level: int) -> Tensor:
        return params[f"scale{level}"].expand(-1, self.wide).contiguous()

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        """InitDistill of the narrow parts that this stage is the first to need."""
        needed = _read(params, stage.present) | {
            int(name.removeprefix(kind))
            for name, weight in stage.penalties.items()
            if weight > 0
            for kind in DISTILL
            if name.startswith(kind)
        }
        new = super().on_phase_start(params, draw, stage)
        for level in (level for level in needed if f"level{level}" in stage.present):
            narrow, wide = _blocks(params, "K", level), _blocks(params, "W", level)
            empty = torch.stack([k.flatten(1).abs().amax(1) for k in narrow.values()]).amax(0) == 0
            if bool(empty.any()):
                start = init_distill(
                    list(wide.values()), next(iter(narrow.values())).shape[1], self.distill
                )
                new |= {
                    f"K{level}_{j}": torch.where(empty.view(-1, 1, 1), s, k)
                    for (j, k), s in zip(narrow.items(), start, strict=True)
                }
        return new

    def penalty(
        self, params: Params, present: frozenset[str], weights: Mapping[str, float]
    ) -> Tensor | None:
        total = None
        for name, weight in weights.items():
            kind = name.rstrip("0123456789")
            level = int(name[len(kind) :])
            if weight > 0 and f"level{level}" in present:
                part = weight * _regulariser(
                    kind, *(list(_blocks(params, letter, level).values()) for letter in "KW")
                )
                total = part if total is None else total + part
        return total

    def _square(self, z: Tensor) -> Tensor:
        return truncated_square(z, self.truncate)

    def _levels(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> dict[int, tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]]:
        """Level → (wide pre-activation (R, m, B), F_l, its subtracted mean (R, m, 1), S_l or None,
        mean of σ(R_l S_l) or None)."""
        sources: dict[int, Tensor] = {0: x.mT, 1: (x.mT.square() - 1) * 0.5**0.5}
        levels: dict[int, tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]] = {}
        read = _read(params, present)
        for level in sorted(int(name[5:]) for name in present if name.startswith("level")):
            z = _apply(_blocks(params, "W", level), sources)
            fit = self._square(z)
            mean = fit.mean(2, keepdim=True) if statistics is None else statistics[f"wide{level}"]
            s = centre = None
            if level in read:
                s = _apply(_blocks(params, "K", level), sources)
                phi = self._square(torch.bmm(params[f"R{level}"], s))
                centre = (
                    phi.mean(2, keepdim=True) if statistics is None else statistics[f"phi{level}"]
                )
                sources[level] = phi - centre
            levels[level] = (z, fit, mean, s, centre)
        return levels

    def features(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Features]:
        """As in the tied network: S_l where a level above reads it, else the wide pre-activations,
        with all their products."""
        found = {}
        for level, (z, _, _, s, _) in self._levels(params, x, present, statistics).items():
            s = z if s is None else s
            phi = Products.apply(s)
            mean = phi.mean(2, keepdim=True)
            found[level] = (s, phi - mean, mean)
        return found

    def rows(self, params: Params, level: int, present: frozenset[str]) -> dict[int, Tensor]:
        return _blocks(params, "K" if level in _read(params, present) else "W", level)

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        levels = self._levels(params, x, present, None)
        return {f"wide{level}": parts[2] for level, parts in levels.items()} | {
            f"phi{level}": parts[4] for level, parts in levels.items() if parts[4] is not None
        }

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        out = params["bias"].expand(-1, x.shape[1])
        for level, (_, fit, mean, _, _) in self._levels(params, x, present, statistics).items():
            if f"readout{level}" in present:
                out = out + ((fit - mean) * params[f"Q{level}"].unsqueeze(2)).sum(1)
            else:
                out = out + params[f"scale{level}"] * (fit.sum(1) - mean.sum(1))
        return out


def truncated_square(z: Tensor, bound: float | None) -> Tensor:
    """z² up to |z| = B, then 2 B² - (2 B - |z|)² up to |z| = 2 B and constant beyond; once
    continuously differentiable. None: z²."""
    if bound is None:
        return z.square()
    size = z.abs()
    return torch.where(
        size <= bound, z.square(), 2 * bound**2 - (2 * bound - size).clamp(min=0).square()
    )


def init_distill(wide: list[Tensor], p: int, of: str) -> list[Tensor]:
    """K_l of p rows from the blocks (R, m, C_j) of W_l, the highest source first. ``whole``: K'K is
    the best rank-p approximation of W'W, from the top singular vectors of W. ``cross``: K_prev'
    K_rest is the best rank-p approximation of W_prev' W_rest, split evenly (the paper's, recalled);
    a level with one block has no cross part and takes the whole. Rows beyond the rank are zero."""
    sizes = [w.shape[2] for w in wide]
    if of == "whole" or len(wide) == 1:
        _, singular, right = torch.linalg.svd(torch.cat(wide, 2), full_matrices=False)
        parts = right, singular.unsqueeze(2)
    else:
        left, singular, right = torch.linalg.svd(
            wide[0].mT @ torch.cat(wide[1:], 2), full_matrices=False
        )
        parts = torch.cat([left.mT, right], 2), singular.sqrt().unsqueeze(2)
    rows = (parts[0] * parts[1])[:, : min(p, wide[0].shape[1])]
    sign = rows.gather(2, rows.abs().argmax(2, keepdim=True)).sign()
    rows = torch.nn.functional.pad(rows * sign, (0, 0, 0, p - rows.shape[1]))
    return [part.contiguous() for part in rows.split(sizes, 2)]


def _blocks(params: Params, letter: str, level: int) -> dict[int, Tensor]:
    """Source → block of W_l or K_l, the highest source first, in whatever order the parameters
    stand."""
    head = f"{letter}{level}_"
    found = {int(name.removeprefix(head)): p for name, p in params.items() if name.startswith(head)}
    return dict(sorted(found.items(), reverse=True))


def _read(params: Params, present: frozenset[str]) -> set[int]:
    """The levels whose features a present level reads."""
    return {
        j
        for group in present
        if group.startswith("level")
        for j in _blocks(params, "W", int(group[5:]))
        if j >= 2
    }


def _apply(blocks: Mapping[int, Tensor], sources: Mapping[int, Tensor]) -> Tensor:
    return sum(torch.bmm(block, sources[j]) for j, block in blocks.items())


def _regulariser(kind: str, narrow: list[Tensor], wide: list[Tensor]) -> Tensor:
    """One regulariser, (R,)."""
    if kind == "decay":
        return sum(part.square().sum((1, 2)) for part in (*narrow, *wide))
    if kind == "distill_cross":
        pairs = [(i, j) for i in (0,) for j in range(1, len(narrow))]
    elif kind == "distill_previous":
        pairs = [(0, 0)]
    else:
        pairs = [(i, j) for i in range(len(narrow)) for j in range(len(narrow))]
    return (
        _sum(
            (narrow[i].mT @ narrow[j] - wide[i].mT @ wide[j]).square().sum((1, 2)) for i, j in pairs
        )
        if pairs
        else torch.zeros_like(narrow[0][:, 0, 0])
    )


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum(0)
