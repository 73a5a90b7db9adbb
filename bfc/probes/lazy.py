"""How lazily a network trains: whether it stays in the neighbourhood of its start.

Allen-Zhu, Li & Song (arXiv:1811.03962): with enough width the loss falls at a constant rate, the
weights hardly move, few gates flip and the tangent kernel stays what it was. What this says of n*
is that it tends to that of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError, require
from bfc.learners.groups import list_parameters
from bfc.learners.mlp import MLP
from bfc.probes.common import check_num_evals, check_rows, frobenius_norm, probe_inputs, undefined
from bfc.types import Draw, Learner, Params, Probe, Progress, Target, sample

TRAINING_ROWS = 1024
"""Training rows, at most, on which the loss is taken."""


@dataclass(frozen=True)
class Lazy(Probe):
    """A ReLU network now against its start, in four numbers.

    ``lazy/rate``: (ln loss⁰ − ln loss) / steps on the first rows that are trained on (NaN before
    the first step); ``movement/l``: ‖W_l − W_l⁰‖_F / ‖W_l⁰‖_F; ``flips/l``: the share of gates of
    level l that are open now and were closed, or the reverse, over units and ``rows`` fresh rows;
    ``lazy/kernel``: the cosine ⟨K, K⁰⟩ / |K||K⁰| of the empirical tangent kernels of the parameters
    that are present, on ``kernel_rows`` rows, summed over outputs.
    """

    identity_name: ClassVar[str] = "bfc.probes.lazy.Lazy"
    version: ClassVar[int] = 1

    rows: int = 1024
    """Fresh inputs for the gates."""
    kernel_rows: int = 64
    """Fresh inputs for the tangent kernel; it holds so many gradients at a time."""
    num_evals: int = 0
    """Evaluations during a training, see :class:`bfc.types.Probe`."""

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 20)
        valid = 2 <= self.kernel_rows <= 1024
        require(valid, "probe.kernel_rows", self.kernel_rows, "an integer from 2 to 1024")
        check_num_evals(self.num_evals)

    def check(self, target: Target, learner: Learner) -> None:
        if not isinstance(learner, MLP) or learner.activation != "relu":
            raise UserError(
                "probe=lazy: needs a network of ReLU units, whose gates it counts; allowed: "
                "learner=mlp with learner.activation=relu, or probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, MLP)
        start = learner.init_params(target, draw)
        x = draw.encode(probe_inputs(draw, self.rows))
        now, then = (learner.hidden(p, x, present) for p in (params, start))
        values: dict[str, Tensor] = {}
        for level in learner.levels(target):
            moved, flips = undefined(len(draw.seeds)), undefined(len(draw.seeds))
            if level in now:
                w, w0 = params[f"W{level}"].double(), start[f"W{level}"].double()
                moved = (frobenius_norm(w - w0) / frobenius_norm(w0)).cpu()
                flips = ((now[level] > 0) != (then[level] > 0)).double().mean((1, 2)).cpu()
            values |= {f"movement/{level}": moved, f"flips/{level}": flips}
        trained = list_parameters(learner.groups(target), present)
        kernel_inputs = draw.encode(probe_inputs(draw, self.kernel_rows))
        kernels = [
            tangent_kernels(
                lambda p, x: learner.forward(p, x, present, {}), p, trained, kernel_inputs
            )
            for p in (params, start)
        ]
        return {**values, "lazy/kernel": kernel_cosine(*kernels).cpu()}

    def measure_training(
        self,
        target: Target,
        draw: Draw,
        learner: Learner,
        params: Params,
        present: frozenset[str],
        progress: Progress,
    ) -> dict[str, Tensor]:
        start = learner.init_params(target, draw)
        rates = undefined(len(draw.seeds))
        for r, (n, step) in enumerate(
            zip(progress.n.tolist(), progress.step.tolist(), strict=True)
        ):
            if step:
                rows = torch.arange(min(n, TRAINING_ROWS) if n else TRAINING_ROWS).unsqueeze(0)
                x, y = sample(draw.select([r]), "train", rows)
                losses = []
                for weights in (start, params):
                    one = {name: p[r : r + 1] for name, p in weights.items()}
                    losses.append(target.loss(learner.forward(one, x, present, {}), y).mean())
                rates[r] = float(losses[0].log() - losses[1].log()) / step
        values = self.measure(target, draw, learner, params, present)
        return {"lazy/rate": rates, **values}


def tangent_kernels(
    forward: Callable[[Params, Tensor], Tensor], params: Params, trained: list[str], x: Tensor
) -> Tensor:
    """K_ij = Σ_c ∇f_c(x_i)·∇f_c(x_j) of every replica over the parameters ``trained``, (R, B, B).

    ``forward`` maps parameters (R, ...) and ``x`` (R, B, d) to outputs (R, B) or (R, B, outputs).
    """
    kernels = []
    for r in range(len(x)):
        inputs = x[r : r + 1]
        constants = {name: p[r : r + 1] for name, p in params.items()}

        def outputs(
            variables: Params, inputs: Tensor = inputs, constants: Params = constants
        ) -> Tensor:
            out = forward({**constants, **variables}, inputs)
            return out.view(inputs.shape[1], -1)

        variables = {name: constants[name].detach() for name in trained}
        jacobians = torch.func.jacrev(outputs)(variables)
        flat = torch.cat([j.flatten(2) for j in jacobians.values()], 2).double()
        kernels.append(torch.einsum("icp,jcp->ij", flat, flat))
    return torch.stack(kernels)


def kernel_cosine(k: Tensor, other: Tensor) -> Tensor:
    """⟨K, K'⟩ / |K||K'| of stacks of matrices (R, B, B), (R,)."""
    return (k * other).sum((1, 2)) / (frobenius_norm(k) * frobenius_norm(other))
