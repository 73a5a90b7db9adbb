"""What probes share: fresh inputs, checks of their sizes, undefined values, similarities."""

from __future__ import annotations

import torch
from torch import Tensor

from bfc.errors import require
from bfc.types import Draw


def distinct_draw(draw: Draw) -> Draw:
    """One replica of a draw whose replicas all have the same seed, else the draw itself.

    What follows from the draw alone has to be computed once then, and is expanded to all replicas.
    """
    return draw.select([0]) if len(set(draw.seeds)) == 1 else draw


def probe_inputs(draw: Draw, count: int) -> Tensor:
    """The first ``count`` inputs of the stream ``probe``, (R, count, d)."""
    distinct = distinct_draw(draw)
    x = distinct.inputs("probe", torch.arange(count).expand(len(distinct.seeds), -1))
    return x.expand(len(draw.seeds), -1, -1)


def undefined(replicas: int) -> Tensor:
    """The values of a quantity that does not apply: NaN, (R,), float64."""
    return torch.full((replicas,), float("nan"), dtype=torch.float64)


def frobenius_norm(matrix: Tensor) -> Tensor:
    """Frobenius norm of a stack of matrices, (R, M, N) → (R,)."""
    norm: Tensor = torch.linalg.vector_norm(matrix.flatten(1), dim=1)
    return norm


def centre_rows(h: Tensor) -> Tensor:
    """In double precision, with mean zero over the rows of (R, B, units)."""
    return h.double() - h.double().mean(1, keepdim=True)


def kernel_alignment(h: Tensor, g: Tensor) -> Tensor:
    """Linear CKA of centred representations, (R,)."""
    cross = (h.mT @ g).square().sum((1, 2))
    norms = frobenius_norm(h.mT @ h) * frobenius_norm(g.mT @ g)
    alignment: Tensor = cross / norms.clamp(min=1e-300)
    return alignment


def check_rows(rows: int, largest: int) -> None:
    """Refuse a number of rows outside 64 ... ``largest``."""
    require(64 <= rows <= largest, "probe.rows", rows, f"an integer from 64 to {largest}")


def check_num_evals(num_evals: int) -> None:
    """Refuse a number of evaluations during a training outside 0 ... 1000."""
    valid = 0 <= num_evals <= 1000
    require(valid, "probe.num_evals", num_evals, "an integer from 0 to 1000")
