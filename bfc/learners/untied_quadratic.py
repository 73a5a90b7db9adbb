"""The paper's own learner (Allen-Zhu & Li, arXiv:2001.04413, section 3; recalled, not checked
against the text).

Every level has a wide part W that fits the label and a narrow part K that carries its features
upwards, tied to each other only by regularisers (distillation). It exists beside the tied network
because Algorithm 1 is stated for it; what is gained by being untied is a thing to measure.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from bfc.errors import require
from bfc.learners.capabilities import Features
from bfc.learners.distillation import REGULARISERS, init_distill, regulariser
from bfc.learners.groups import present_levels
from bfc.learners.initialiser import Initialiser
from bfc.learners.products import differentiable_products
from bfc.learners.quadratic_densenet import QuadraticDenseNet, as_composition
from bfc.targets.capabilities import read_scales
from bfc.types import Draw, Learner, Params, Stage, Target


class Level(NamedTuple):
    """What a level computes of a batch."""

    z: Tensor
    """Wide pre-activation, (R, m, B)."""
    fit: Tensor
    """F_l, (R, m, B)."""
    mean: Tensor
    """The mean subtracted from F_l, (R, m, 1)."""
    s: Tensor | None
    """S_l, (R, p, B), where a level above reads it."""
    centre: Tensor | None
    """The mean of σ(R_l S_l), (R, p(p+1)/2, 1), where a level above reads it."""


@dataclass(frozen=True)
class UntiedQuadratic(QuadraticDenseNet):
    """g(x) = bias + sum_l scale_l (Sum(F_l) - mean) with F_l = σ(W_l v_l) of width ``wide``.

    v_l are the inputs of level l: x and (x² - 1)/sqrt 2 themselves, and of a level j >= 2 below it
    σ(R_j S_j) - mean, where S_j = K_j v_j (p_j features) and R_j is fixed and random with unit
    rows, p_j (p_j + 1) / 2 of them, so that σ(R_j S_j) spans all products of S_j.

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
        valid_wide = self.wide >= max(self.widths or (1,))
        require(valid_wide, "learner.wide", self.wide, "an integer >= learner.widths")
        valid_bound = self.truncate is None or 0 < self.truncate < float("inf")
        require(valid_bound, "learner.truncate", self.truncate, "null or a number > 0")

    def check(self, target: Target) -> None:
        super().check(target)
        widest = max(self._width(target, level) for level in target.levels)
        allowed = f"an integer >= {widest}, the widest narrow part"
        require(self.wide >= widest, "learner.wide", self.wide, allowed)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        composition = as_composition(target)
        groups = super().groups(target)
        for level in target.levels:
            wide = [f"W{level}_{j}" for j in composition.below(level)]
            groups[f"level{level}"] = (*groups[f"level{level}"], *wide)
        return groups

    def penalties(self, target: Target) -> tuple[str, ...]:
        kinds = (*REGULARISERS, "decay")
        return tuple(f"{kind}{level}" for level, kind in itertools.product(target.levels, kinds))

    def init_params(self, target: Target, draw: Draw) -> Params:
        composition = as_composition(target)
        initial = Initialiser.like(draw, read_scales(draw))
        params: Params = {"bias": initial.zeros(1)}
        for i, level in enumerate(target.levels):
            p = self._width(target, level)
            for j in composition.below(level):
                name, fan_in = f"W{level}_{j}", self._fan_in(target, j)
                w = initial.normal(name, self.wide, fan_in)
                params[name] = w * (self.init / fan_in**0.5)
                params[f"K{level}_{j}"] = initial.zeros(p, fan_in)
            params[f"scale{level}"] = self._initial_scale(draw, i, self.wide)
            params[f"Q{level}"] = self._fixed_readout(params, level)
            spread = initial.normal(f"R{level}", p * (p + 1) // 2, p)
            params[f"R{level}"] = spread / spread.norm(dim=2, keepdim=True)
        return params

    def _fixed_readout(self, params: Params, level: int) -> Tensor:
        return params[f"scale{level}"].expand(-1, self.wide).contiguous()

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        """InitDistill of the narrow parts that this stage is the first to need."""
        new = super().on_phase_start(params, draw, stage)
        for level in _read_levels(params, stage.present) | _distilled_levels(stage.penalties):
            if f"level{level}" in stage.present:
                new |= self._fill_narrow(params, level)
        return new

    def _fill_narrow(self, params: Params, level: int) -> Params:
        """K_l by InitDistill in the replicas where it is zero; nothing where it is zero in none."""
        narrow, wide = blocks(params, "K", level), blocks(params, "W", level)
        largest = torch.stack([k.flatten(1).abs().amax(1) for k in narrow.values()]).amax(0)
        empty = largest == 0
        if not bool(empty.any()):
            return {}
        p = next(iter(narrow.values())).shape[1]
        start = init_distill(list(wide.values()), p, self.distill)
        new = {}
        for (j, k), initial in zip(narrow.items(), start, strict=True):
            new[f"K{level}_{j}"] = torch.where(empty.view(-1, 1, 1), initial, k)
        return new

    def penalty(
        self, params: Params, present: frozenset[str], weights: Mapping[str, float]
    ) -> Tensor | None:
        total = None
        for name, weight in weights.items():
            kind, level = split_penalty(name)
            if weight > 0 and f"level{level}" in present:
                narrow = list(blocks(params, "K", level).values())
                wide = list(blocks(params, "W", level).values())
                part = weight * regulariser(kind, narrow, wide)
                total = part if total is None else total + part
        return total

    def _levels(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> dict[int, Level]:
        sources: dict[int, Tensor] = {0: x.mT, 1: (x.mT.square() - 1) * 0.5**0.5}
        levels: dict[int, Level] = {}
        read = _read_levels(params, present)
        for level in present_levels(present):
            z = _apply(blocks(params, "W", level), sources)
            fit = truncated_square(z, self.truncate)
            mean = fit.mean(2, keepdim=True) if statistics is None else statistics[f"wide{level}"]
            s = centre = None
            if level in read:
                s = _apply(blocks(params, "K", level), sources)
                phi = truncated_square(torch.bmm(params[f"R{level}"], s), self.truncate)
                name = f"phi{level}"
                centre = phi.mean(2, keepdim=True) if statistics is None else statistics[name]
                sources[level] = phi - centre
            levels[level] = Level(z, fit, mean, s, centre)
        return levels

    def features(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Features]:
        """As in the tied network, with all products of the features.

        The features are S_l where a level above reads it, else the wide pre-activations.
        """
        features = {}
        for number, level in self._levels(params, x, present, statistics).items():
            s = level.z if level.s is None else level.s
            phi = differentiable_products(s)
            mean = phi.mean(2, keepdim=True)
            features[number] = (s, phi - mean, mean)
        return features

    def rows(self, params: Params, level: int, present: frozenset[str]) -> dict[int, Tensor]:
        return blocks(params, "K" if level in _read_levels(params, present) else "W", level)

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        levels = self._levels(params, x, present, None)
        means = {f"wide{number}": level.mean for number, level in levels.items()}
        for number, level in levels.items():
            if level.centre is not None:
                means[f"phi{number}"] = level.centre
        return means

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        out = params["bias"].expand(-1, x.shape[1])
        for number, level in self._levels(params, x, present, statistics).items():
            fit, mean = level.fit, level.mean
            if f"readout{number}" in present:
                out = out + ((fit - mean) * params[f"Q{number}"].unsqueeze(2)).sum(1)
            else:
                out = out + params[f"scale{number}"] * (fit.sum(1) - mean.sum(1))
        return out


def truncated_square(z: Tensor, bound: float | None) -> Tensor:
    """z² up to |z| = B, then 2 B² - (2 B - |z|)² up to |z| = 2 B and constant beyond.

    Once continuously differentiable. None: z².
    """
    if bound is None:
        return z.square()
    size = z.abs()
    beyond = 2 * bound**2 - (2 * bound - size).clamp(min=0).square()
    return torch.where(size <= bound, z.square(), beyond)


def split_penalty(name: str) -> tuple[str, int]:
    """Kind and level of a regulariser: ``distill_all3`` → (distill_all, 3)."""
    kind = name.rstrip("0123456789")
    return kind, int(name.removeprefix(kind))


def blocks(params: Params, letter: str, level: int) -> dict[int, Tensor]:
    """Source → block of W_l or K_l, the highest source first whatever the order of ``params``."""
    head = f"{letter}{level}_"
    names = [name for name in params if name.startswith(head)]
    by_source = {int(name.removeprefix(head)): params[name] for name in names}
    return dict(sorted(by_source.items(), reverse=True))


def _read_levels(params: Params, present: frozenset[str]) -> set[int]:
    """The levels whose features a present level reads."""
    sources: set[int] = set()
    for level in present_levels(present):
        sources |= blocks(params, "W", level).keys()
    return {source for source in sources if source >= 2}


def _distilled_levels(penalties: Mapping[str, float]) -> set[int]:
    """The levels of which a distillation regulariser is on."""
    levels = set()
    for name, weight in penalties.items():
        kind, level = split_penalty(name)
        if weight > 0 and kind in REGULARISERS:
            levels.add(level)
    return levels


def _apply(weights: Mapping[int, Tensor], sources: Mapping[int, Tensor]) -> Tensor:
    """The sum of what the blocks read, (R, units, B)."""
    parts = [torch.bmm(block, sources[j]) for j, block in weights.items()]
    return functools.reduce(torch.add, parts)
