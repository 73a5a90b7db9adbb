"""What a trained movement W of the quadratic Taylor model says beyond its risk.

Whether the factorised training found the nuclear norm (the equivalence that the theory and the
convex oracle rest on), and how close the network with random signs on W is to the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.coupled_network import signs
from bfc.learners.quadratic_taylor import QuadraticTaylor
from bfc.learners.taylor import derivative, norm24
from bfc.probes.common import check_num_evals, check_rows
from bfc.types import Draw, Learner, Params, Probe, Target

CHUNK_ELEMENTS = 1 << 24
"""Entries of the largest tensor that is held, (R, rows, units)."""


@dataclass(frozen=True)
class Movement(Probe):
    """The norms of the movement, or how far the network with random signs is from the model.

    ``norm/ratio``: ‖W‖_{2,4}⁴ over 4 (‖M‖_*² + (tr M)²); ``norm/nuclear``: the same over 4 ‖M‖_*²
    (both without gates only); ``coupling/linear``: rms over rows and sign draws of the linear term
    f^(1)_{SW}; ``coupling/linear_per_norm``: that over ‖W‖_{2,4}, which falls as m^{-1/4} (Bai &
    Lee, arXiv:1910.01619); ``coupling/rest``: rms of f_{W⁰+SW} − f_{W⁰} − f^Q_W, the linear term
    and higher orders, which fall faster. In units of sd f* = 1.
    """

    identity_name: ClassVar[str] = "bfc.probes.movement.Movement"
    version: ClassVar[int] = 1

    rows: int = 2048
    """Fresh unlabelled inputs, stream ``probe``."""
    draws: int = 4
    """Independent sign draws."""
    num_evals: int = field(default=0, metadata={"identity": "looks"})
    """Evaluations during a training, see :class:`bfc.types.Probe`."""

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 20)
        require(1 <= self.draws <= 1024, "probe.draws", self.draws, "an integer from 1 to 1024")
        check_num_evals(self.num_evals)

    def check(self, target: Target, learner: Learner) -> None:
        if not isinstance(learner, QuadraticTaylor):
            raise UserError(
                f"probe=movement: needs learner=quadratic_taylor, not {type(learner).__name__}; "
                "set probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, QuadraticTaylor)
        if "W0" not in params:
            return self._norms(params)
        return self._coupling(draw, learner, params, present)

    @staticmethod
    def _norms(params: Params) -> dict[str, Tensor]:
        m = QuadraticTaylor.matrix({name: p.double() for name, p in params.items()})
        size = norm24(params["W"].double())
        nuclear = torch.linalg.eigvalsh(m).abs().sum(1).square()
        trace = m.diagonal(dim1=1, dim2=2).sum(1).square()
        return {
            "norm/ratio": (size / (4 * (nuclear + trace))).cpu(),
            "norm/nuclear": (size / (4 * nuclear)).cpu(),
        }

    def _coupling(
        self, draw: Draw, learner: QuadraticTaylor, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        replicas = len(draw.seeds)
        totals = torch.zeros(2, replicas, dtype=torch.float64)
        chunk = max(64, min(self.rows, CHUNK_ELEMENTS // (replicas * learner.width)))
        for start in range(0, self.rows, chunk):
            rows = torch.arange(start, min(start + chunk, self.rows)).expand(replicas, -1)
            h = draw.encode(draw.inputs("probe", rows))
            self._add_squares(totals, h, draw, learner, params, present)
        linear, rest = (totals / (self.rows * self.draws)).sqrt()
        norm = norm24(params["W"].double()).pow(0.25).cpu()
        return {
            "coupling/linear": linear,
            "coupling/linear_per_norm": linear / norm,
            "coupling/rest": rest,
        }

    def _add_squares(
        self,
        totals: Tensor,
        h: Tensor,
        draw: Draw,
        learner: QuadraticTaylor,
        params: Params,
        present: frozenset[str],
    ) -> None:
        """Add the squares of the linear term and of the rest over rows and sign draws.

        ``totals`` (2, R) is changed in place; ``h`` are encoded inputs (R, B, D).
        """
        moved, start = torch.bmm(h, params["W"].mT), torch.bmm(h, params["W0"].mT)
        quadratic = learner.forward(params, h, present)
        before = derivative(learner.activation, 0, start)
        slope = derivative(learner.activation, 1, start)
        a = params["a"].unsqueeze(2) * learner.width**-0.5
        for number in range(self.draws):
            s = signs(draw, learner.width, number).to(params["a"]).unsqueeze(1)
            after = derivative(learner.activation, 0, start + s * moved)
            linear = torch.bmm(s * slope * moved, a).squeeze(2)
            rest = torch.bmm(after - before, a).squeeze(2) - quadratic
            totals[0] += linear.double().square().sum(1).cpu()
            totals[1] += rest.double().square().sum(1).cpu()
