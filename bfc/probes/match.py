"""What two networks with different starts have learned in common, level by level.

Wang, Hu, Gu, Wu, Hu, He & Hopcroft (arXiv:1810.11750) compare the spans of units, Kornblith et al.
(ICML 2019) the kernels. A span of many units holds everything there is to hold, so the same two
numbers of the untrained twins, and the rank of what a level computes, stand beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.twin import Twin, second_network
from bfc.probes.common import (
    centre_rows,
    check_num_evals,
    check_rows,
    kernel_alignment,
    probe_inputs,
    undefined,
)
from bfc.types import Draw, Learner, Params, Probe, Target

RANK_TOLERANCE = 1e-6
"""Singular values below this share of the largest do not count for the rank."""


@dataclass(frozen=True)
class Match(Probe):
    """Similarities of the levels of learner=twin, on ``rows`` fresh inputs.

    ``twin_cka/l``: linear centred kernel alignment. ``twin_match/l``: the share of units in the
    maximum ε-match (:func:`maximum_match`, ε = ``eps``). ``untrained_cka/l`` and
    ``untrained_match/l``: the same before training. ``twin_rank/l``: the rank of level l's
    activations, the smaller of the twins', over its width; where it is small, as at the lowest
    level on few distinct inputs, a match says nothing.
    """

    identity_name: ClassVar[str] = "bfc.probes.match.Match"
    version: ClassVar[int] = 1

    rows: int = 4096
    """Fresh inputs; more than four times the units of a level."""
    eps: float = 0.3
    num_evals: int = 0
    """Evaluations during a training, see :class:`bfc.types.Probe`."""

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 20)
        require(0 < self.eps < 1, "probe.eps", self.eps, "a number between 0 and 1")
        check_num_evals(self.num_evals)

    def check(self, target: Target, learner: Learner) -> None:
        if not isinstance(learner, Twin):
            raise UserError(
                "probe=match: compares two networks of one seed; allowed: learner=twin, or "
                "probe=none"
            )
        needed = 4 * max(learner.widths)
        allowed = f"at least 4 times the widest level of learner.widths, {needed}"
        require(self.rows >= needed, "probe.rows", self.rows, allowed)

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, Twin)
        x = draw.encode(probe_inputs(draw, self.rows))
        start = learner.init_params(target, draw)
        values: dict[str, Tensor] = {}
        for when, weights in (("twin", params), ("untrained", start)):
            first = learner.hidden(weights, x, present)
            second = learner.hidden(second_network(weights), x, present)
            for level in learner.levels(target):
                names = [f"{when}_{name}/{level}" for name in ("cka", "match")]
                if level not in first:
                    values |= {name: undefined(len(x)) for name in names}
                    continue
                h, g = first[level].double(), second[level].double()
                values[names[0]] = kernel_alignment(centre_rows(h), centre_rows(g)).cpu()
                pairs = zip(h, g, strict=True)
                shares = [maximum_match(one, other, self.eps) for one, other in pairs]
                values[names[1]] = torch.tensor(shares, dtype=torch.float64)
                if weights is params:
                    values[f"twin_rank/{level}"] = relative_rank(h, g)
        for level in learner.levels(target):
            values.setdefault(f"twin_rank/{level}", undefined(len(x)))
        return values


def relative_rank(h: Tensor, g: Tensor) -> Tensor:
    """The smaller of the ranks of h and g (R, B, units), over the number of units; (R,)."""
    ranks = [torch.linalg.matrix_rank(part, rtol=RANK_TOLERANCE) for part in (h, g)]
    smaller: Tensor = torch.minimum(*ranks).double().cpu()
    return smaller / h.shape[2]


def maximum_match(x: Tensor, y: Tensor, eps: float) -> float:
    """The share of units of ``x`` and ``y`` (B, units) in their maximum ε-match.

    Units of x farther than ε from the span of those of y are dropped, then units of y farther than
    ε from the span of those of x, until none is (arXiv:1810.11750, algorithm 1). The distance of a
    unit is the norm of its residual after least squares over its own. Dead units do not count; no
    units at all have no match.
    """
    x, y = x[:, x.abs().amax(0) > 0], y[:, y.abs().amax(0) > 0]
    total = x.shape[1] + y.shape[1]
    while True:
        kept_x = x[:, relative_residuals(x, y) <= eps]
        kept_y = y[:, relative_residuals(y, kept_x) <= eps]
        is_stable = kept_x.shape == x.shape and kept_y.shape == y.shape
        x, y = kept_x, kept_y
        if is_stable:
            return (x.shape[1] + y.shape[1]) / total if total else 0.0


def relative_residuals(units: Tensor, others: Tensor) -> Tensor:
    """‖z − its projection on the span of ``others`` (B, k)‖ / ‖z‖ of every unit z (B, m), (m,)."""
    sizes = torch.linalg.vector_norm(units, dim=0)
    if not others.shape[1]:
        return torch.ones_like(sizes)
    u, values, _ = torch.linalg.svd(others, full_matrices=False)
    basis = u[:, values > RANK_TOLERANCE * values[0]]
    distances = torch.linalg.vector_norm(units - basis @ (basis.mT @ units), dim=0)
    relative: Tensor = distances / sizes
    return relative
