"""The paper's learner in its tied form (Allen-Zhu & Li, arXiv:2001.04413, section 3; recalled).

A quadratic network with the target's skip links whose level l computes s_l from all products of the
level below and whose output adds up the levels' squared norms with the coefficients of the target.
Products and outputs are centred; without centring the levels cannot be told apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.capabilities import Features, LevelFeatures, LevelScales
from bfc.learners.groups import present_levels
from bfc.learners.initialiser import Initialiser
from bfc.learners.products import differentiable_products, square_positions
from bfc.learners.quadratic_pass import QuadraticPass, links, read_source
from bfc.targets.capabilities import LevelComposition, read_scales
from bfc.types import Draw, Params, Stage, Target


@dataclass(frozen=True)
class QuadraticDenseNet(LevelFeatures, LevelScales):
    """g(x) = bias + sum_l scale_l (|s_l|^2 - mean), s_l = K_{l,l-1} phi_{l-1} + sum_j K_{l,j} u_j.

    phi_j holds all products s_j s_j' (j <= j') of level j minus their mean. The sum is over the
    target's other links; links 0 and 1 read u_0 = x and u_1 = (x^2 - 1)/sqrt 2, others u_j = phi_j.
    ``scale_l`` = alpha_l / c_l is revealed by the target (``alpha: known``) or trained with its
    level (``alpha: trained``, from 1/sqrt(2 p_l), the scale of p_l independent squares). Group
    ``readout l`` replaces level l's fixed read-out by a free quadratic one on phi_l, which starts
    at scale_l, as it then is, times the identity; it is used where a schedule trains it. Groups:
    ``bias``, ``level2`` ... ``levelL``, ``readout2`` ... ``readoutL``.
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
        composition = target.unwrapped
        if not isinstance(composition, LevelComposition):
            raise UserError(
                "learner=quadratic_densenet: needs a target with composition levels, not "
                f"{type(target).__name__}; allowed: target=quadratic_densenet"
            )
        if target.input_width != target.d:
            raise UserError(
                "learner=quadratic_densenet: reads the raw inputs; allowed: representation=raw"
            )
        if self.widths is not None:
            levels = len(target.levels)
            allowed = f"a list of L-1 = {levels} integers (p_2..p_{composition.L})"
            require(len(self.widths) == levels, "learner.widths", list(self.widths), allowed)

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        composition = as_composition(target)
        for level in target.levels:
            if f"level{level}" in present:
                for j in composition.below(level):
                    if j >= 2 and f"level{j}" not in present:
                        raise UserError(
                            f"schedule: level{level} is trained before level{j}, which it reads"
                        )
            elif f"readout{level}" in present:
                raise UserError(
                    f"schedule: readout{level} is trained before level{level}, which it reads"
                )

    def _width(self, target: Target, level: int) -> int:
        if level < 2 or self.widths is None:
            return as_composition(target).width(level)
        return self.widths[level - 2]

    def _fan_in(self, target: Target, source: int) -> int:
        p = self._width(target, source)
        return p if source < 2 else p * (p + 1) // 2

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        composition = as_composition(target)
        groups: dict[str, tuple[str, ...]] = {"bias": ("bias",)}
        for level in target.levels:
            scale = (f"scale{level}",) if self.alpha == "trained" else ()
            groups[f"level{level}"] = (*(f"K{level}_{j}" for j in composition.below(level)), *scale)
        return groups | {f"readout{level}": (f"Q{level}",) for level in target.levels}

    def init_params(self, target: Target, draw: Draw) -> Params:
        composition = as_composition(target)
        initial = Initialiser.like(draw, read_scales(draw))
        params: Params = {"bias": initial.zeros(1)}
        for i, level in enumerate(target.levels):
            p = self._width(target, level)
            for j in composition.below(level):
                name, fan_in = f"K{level}_{j}", self._fan_in(target, j)
                params[name] = initial.normal(name, p, fan_in) * (self.init / fan_in**0.5)
            params[f"scale{level}"] = self._initial_scale(draw, i, p)
            params[f"Q{level}"] = self._fixed_readout(params, level)
        return params

    def _initial_scale(self, draw: Draw, i: int, units: int) -> Tensor:
        """scale_l of the i-th level, (R, 1), for a level of so many units."""
        known = read_scales(draw)[:, i : i + 1]
        if self.alpha == "known":
            return known.clone()
        return torch.full_like(known, (2 * units) ** -0.5)

    def _fixed_readout(self, params: Params, level: int) -> Tensor:
        """The free read-out that equals the fixed one: scale_l on the squares, (R, p(p+1)/2)."""
        scale = params[f"scale{level}"]
        name, _ = links(params, level)[0]
        p = params[name].shape[1]
        identity = torch.zeros(p * (p + 1) // 2, dtype=scale.dtype, device=scale.device)
        identity.index_fill_(0, square_positions(p, scale.device), 1.0)
        return scale * identity

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        """Read-outs that are new in the network start as the fixed ones that they replace."""
        new = {}
        for group in stage.added:
            if group.startswith("readout"):
                level = int(group.removeprefix("readout"))
                new[f"Q{level}"] = self._fixed_readout(params, level)
        return new

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
        for level in present_levels(present):
            parts = []
            for name, j in links(params, level):
                parts.append(torch.bmm(params[name], read_source(j, x, sources)))
            s = functools.reduce(torch.add, parts)
            phi = differentiable_products(s)
            mean = phi.mean(2, keepdim=True) if statistics is None else statistics[f"phi{level}"]
            sources[level] = phi - mean
            levels[level] = (s, sources[level], mean)
        return levels

    def rows(self, params: Params, level: int, present: frozenset[str]) -> dict[int, Tensor]:
        """The weights of a level's features by what they read, source → (R, p, width of source)."""
        return {j: params[name] for name, j in links(params, level)}

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        features = self.features(params, x, present)
        return {f"phi{level}": mean for level, (_, _, mean) in features.items()}

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
                squares = square_positions(s.shape[1], s.device)
                out = out + params[f"scale{level}"] * (s.square().sum(1) - mean[:, squares].sum(1))
        return out

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        forward = QuadraticPass(params, x, present)
        return forward.out, functools.partial(forward.pull_back, trained=trained)


def as_composition(target: Target) -> LevelComposition:
    """The composition within a target that has passed :meth:`QuadraticDenseNet.check`."""
    composition = target.unwrapped
    assert isinstance(composition, LevelComposition)
    return composition
