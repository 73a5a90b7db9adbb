"""The paper's learner in its tied form (Allen-Zhu & Li, arXiv:2001.04413, section 3; recalled): a
quadratic network with the target's skip links whose level l computes s_l from all products of the
level below and whose output adds up the levels' squared norms with the coefficients of the target.
Products and outputs are centred; without centring the levels cannot be told apart (figures in the
paper notes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.types import Draw, Learner, Params, Stage, Target

Features = tuple[Tensor, Tensor, Tensor]
"""s (R, p, B), its centred products (R, p(p+1)/2, B), their subtracted mean (R, p(p+1)/2, 1). Rows
come last so that every product is a contiguous run."""


@dataclass(frozen=True)
class QuadraticDenseNet(Learner):
    """g(x) = bias + sum_l scale_l (|s_l|^2 - mean), s_l = K_{l,l-1} phi_{l-1} + sum_j K_{l,j}
    (other links).

    phi_j holds all products s_j s_j' (j <= j') of level j minus their mean; links 0 and 1 read x
    and (x^2 - 1)/sqrt 2. ``scale_l`` = alpha_l / c_l is told by the target (``alpha: known``) or
    trained with its level (``alpha: trained``, from 1/sqrt(2 p_l), the scale of p_l independent
    squares). Group ``readout l`` replaces level l's fixed read-out by a free quadratic one on
    phi_l, which starts at scale_l, as it then is, times the identity; it is used where a schedule
    trains it. Groups: ``bias``, ``level2`` ... ``levelL``, ``readout2`` ... ``readoutL``.
    """

    identity_name: ClassVar[str] = "bfc.learners.quadratic_densenet.QuadraticDenseNet"
    version: ClassVar[int] = 2
    needs_reference: ClassVar[bool] = True

    widths: tuple[int, ...] | None = None
    """p_2..p_L; null: the target's own widths (exact width)."""
    init: float = 0.5
    """Initial weights are N(0, init^2 / fan_in), fan_in separate for every link."""
    alpha: Literal["known", "trained"] = "known"

    def __post_init__(self) -> None:
        if self.widths is not None:
            positive = len(self.widths) > 0 and all(p >= 1 for p in self.widths)
            require(positive, "learner.widths", list(self.widths), "a list of integers >= 1")
        require(0 < self.init < float("inf"), "learner.init", self.init, "a number > 0")

    def check(self, target: Target) -> None:
        if not hasattr(target, "below"):
            raise UserError(
                f"learner=quadratic_densenet: needs a target with composition levels, not {type(target).__name__}; "
                "allowed: target=quadratic_densenet"
            )
        if target.input_width != target.d:
            raise UserError(
                "learner=quadratic_densenet: reads the raw inputs; allowed: representation=raw"
            )
        levels = len(target.levels)
        if self.widths is not None:
            require(
                len(self.widths) == levels,
                "learner.widths",
                list(self.widths),
                f"a list of L-1 = {levels} integers (p_2..p_{target.L})",
            )

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        for level in target.levels:
            if f"level{level}" in present:
                absent = [j for j in target.below(level) if j >= 2 and f"level{j}" not in present]
                if absent:
                    raise UserError(
                        f"schedule: level{level} is trained before level{absent[0]}, which it reads"
                    )
            elif f"readout{level}" in present:
                raise UserError(
                    f"schedule: readout{level} is trained before level{level}, which it reads"
                )

    def _width(self, target: Target, level: int) -> int:
        return target.width(level) if level < 2 or self.widths is None else self.widths[level - 2]

    def _fan_in(self, target: Target, source: int) -> int:
        p = self._width(target, source)
        return p if source < 2 else p * (p + 1) // 2

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {"bias": ("bias",)}
        for level in target.levels:
            scale = (f"scale{level}",) if self.alpha == "trained" else ()
            groups[f"level{level}"] = (*(f"K{level}_{j}" for j in target.below(level)), *scale)
        return groups | {f"readout{level}": (f"Q{level}",) for level in target.levels}

    def init_params(self, target: Target, draw: Draw) -> Params:
        first = next(iter(draw.revealed.values()))
        cast = {"dtype": first.dtype, "device": first.device}
        params: Params = {"bias": torch.zeros(len(draw.seeds), 1, **cast)}
        for i, level in enumerate(target.levels):
            p = self._width(target, level)
            for j in target.below(level):
                fan_in = self._fan_in(target, j)
                k = random.normal(draw.seeds, f"init/K{level}_{j}", (p, fan_in), **cast)
                params[f"K{level}_{j}"] = k * (self.init / fan_in**0.5)
            known = draw.revealed["scale"][:, i : i + 1]
            params[f"scale{level}"] = (
                known.clone() if self.alpha == "known" else torch.full_like(known, (2 * p) ** -0.5)
            )
            params[f"Q{level}"] = self._fixed(params, level)
        return params

    def _fixed(self, params: Params, level: int) -> Tensor:
        """The free read-out that equals the fixed one: scale_l times the identity, (R, p(p+1)/2)."""
        scale, p = (
            params[f"scale{level}"],
            next(k.shape[1] for name, k in params.items() if name.startswith(f"K{level}_")),
        )
        return scale * torch.zeros(
            p * (p + 1) // 2, dtype=scale.dtype, device=scale.device
        ).index_fill_(0, _squares(p, scale.device), 1.0)

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        return {
            f"Q{name[7:]}": self._fixed(params, int(name[7:]))
            for name in stage.added
            if name.startswith("readout")
        }

    def features(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Features]:
        """What every level that is present has learned."""
        levels: dict[int, Features] = {}
        sources: dict[int, Tensor] = {}
        for level in _levels(present):
            s = None
            for name, j in _links(params, level):
                part = torch.bmm(params[name], _source(j, x, sources))
                s = part if s is None else s + part
            phi = Products.apply(s)
            mean = phi.mean(2, keepdim=True) if statistics is None else statistics[f"phi{level}"]
            levels[level] = (s, phi - mean, mean)
            sources[level] = levels[level][1]
        return levels

    def rows(self, params: Params, level: int, present: frozenset[str]) -> dict[int, Tensor]:
        """The weights of a level's features by what they read, source → (R, p, width of source)."""
        head = f"K{level}_"
        return {
            int(name.removeprefix(head)): p for name, p in params.items() if name.startswith(head)
        }

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        return {
            f"phi{level}": mean for level, (_, _, mean) in self.features(params, x, present).items()
        }

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        out = params["bias"].expand(-1, x.shape[1])
        for level, (s, phi, mean) in self.features(params, x, present, statistics).items():
            if f"readout{level}" in present:
                out = out + (phi * params[f"Q{level}"].unsqueeze(2)).sum(1)
            else:
                squares = _squares(s.shape[1], s.device)
                out = out + params[f"scale{level}"] * (s.square().sum(1) - mean[:, squares].sum(1))
        return out

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        levels, read = (
            _levels(present),
            {j for level in _levels(present) for _, j in _links(params, level)},
        )
        sources: dict[int, Tensor] = {}
        features: dict[int, Tensor] = {}
        norms: dict[int, Tensor] = {}
        out = params["bias"].expand(-1, x.shape[1])
        for level in levels:
            s = None
            for name, j in _links(params, level):
                source = _source(j, x, sources)
                s = (
                    torch.bmm(params[name], source)
                    if s is None
                    else s.baddbmm_(params[name], source)
                )
            features[level] = s
            if level in read or f"readout{level}" in present:
                phi = products(s)
                sources[level] = phi.sub_(phi.mean(2, keepdim=True))
            if f"readout{level}" in present:
                out = out + torch.bmm(params[f"Q{level}"].unsqueeze(1), sources[level]).squeeze(1)
            else:
                norm = s.square().sum(1)
                norms[level] = norm.sub_(norm.mean(1, keepdim=True))
                out = out + params[f"scale{level}"] * norms[level]
        moving = [
            level for level in levels if any(name in trained for name, _ in _links(params, level))
        ]
        lowest = min(moving, default=max(levels, default=1) + 1)

        def back(slope: Tensor) -> Params:
            grads = {"bias": slope.sum(1, keepdim=True)}
            centred = slope - slope.mean(1, keepdim=True)
            from_above: dict[int, Tensor] = {}
            for level in reversed(levels):
                s, above = features[level], from_above.get(level)
                if f"readout{level}" in present:
                    grads[f"Q{level}"] = torch.bmm(sources[level], slope.unsqueeze(2)).squeeze(2)
                    mine = params[f"Q{level}"].unsqueeze(2) * centred.unsqueeze(1)
                    above = mine if above is None else above.add_(mine)
                else:
                    grads[f"scale{level}"] = (slope * norms[level]).sum(1, keepdim=True)
                if level < lowest:
                    continue
                delta = torch.zeros_like(s) if above is None else products_reverse(s, above)
                if f"readout{level}" not in present:
                    delta.addcmul_(s, (2 * params[f"scale{level}"] * centred).unsqueeze(1))
                for name, j in _links(params, level):
                    if name in trained:
                        grads[name] = torch.bmm(delta, _source(j, x, sources).mT)
                    if j >= lowest:
                        part = torch.bmm(params[name].mT, delta)
                        part -= part.mean(2, keepdim=True)
                        from_above[j] = part if j not in from_above else from_above[j].add_(part)
            return grads

        return out, back


def _levels(present: frozenset[str]) -> list[int]:
    return sorted(int(name[5:]) for name in present if name.startswith("level"))


def _links(params: Params, level: int) -> list[tuple[str, int]]:
    """Names and sources of the matrices that a level reads with."""
    return [
        (name, int(name.rpartition("_")[2])) for name in params if name.startswith(f"K{level}_")
    ]


def _source(j: int, x: Tensor, sources: dict[int, Tensor]) -> Tensor:
    """What link ``j`` reads, (R, ·, B); kept in ``sources``."""
    if j not in sources:
        sources[j] = x.mT if j == 0 else (x.mT.square() - 1) * 0.5**0.5
    return sources[j]


@lru_cache(maxsize=64)
def _squares(p: int, device: torch.device) -> Tensor:
    """Where the squares s_i s_i stand among the products i <= j of p features: after i rows of p, p
    - 1, ... of them."""
    i = torch.arange(p, device=device)
    return i * p - i * (i - 1) // 2


def products(s: Tensor) -> Tensor:
    """(R, p, B) → all products s_i s_j, i <= j, (R, p(p+1)/2, B), ordered by i."""
    p, start = s.shape[1], 0
    phi = s.new_empty(s.shape[0], p * (p + 1) // 2, s.shape[2])
    for i in range(p):
        torch.mul(s[:, i : i + 1], s[:, i:], out=phi[:, start : start + p - i])
        start += p - i
    return phi


def products_reverse(s: Tensor, grad: Tensor) -> Tensor:
    """Gradient with respect to ``s`` from that with respect to :func:`products`: slices of
    contiguous rows, where the reverse pass of two gathers would scatter."""
    p, start = s.shape[1], 0
    out = torch.zeros_like(s)
    for i in range(p):
        with_i = grad[:, start : start + p - i]
        out[:, i:].addcmul_(with_i, s[:, i : i + 1])
        out[:, i] += (with_i * s[:, i:]).sum(1)
        start += p - i
    return out


class Products(torch.autograd.Function):
    """:func:`products` under automatic differentiation."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, s: Tensor) -> Tensor:
        ctx.save_for_backward(s)
        return products(s)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        return products_reverse(*ctx.saved_tensors, grad)
