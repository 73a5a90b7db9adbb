"""Symmetric matrices as their column panels on and below the diagonal: half the memory of a square,
and a Cholesky factor that can take the place of the matrix, so that a kernel of n = 10⁵ points (40
GB) fits one GPU. Up to :data:`PANEL` rows there is one panel, the matrix itself, and LAPACK
factorises it; beyond that the panels are factorised one after the other (right-looking, Golub & Van
Loan, Matrix Computations, 4th ed., §4.2.9), nearly all of it products of large matrices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bfc.errors import UserError

PANEL = 4096
"""Columns of a panel."""
TILE = 256
"""Rows and columns of a kernel matrix that are computed at a time on a CPU (half a megabyte)."""
GPU_TILE = 2048
"""The same on a GPU (32 megabytes), whose memory has room for a few of them beside the matrix."""


def gram_matrix(
    gram: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    z: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The kernel matrix (N, M) of ``x`` (N, d) against ``z`` (M, d), or of ``x`` with itself,
    written to ``out`` if given. By tiles that stay in a CPU's cache, since a kernel is a chain of
    elementwise passes, and on a GPU leave its memory to the matrix; only on and below the diagonal
    where the matrix is symmetric."""
    rows, tile = x if z is None else z, TILE if x.device.type == "cpu" else GPU_TILE
    matrix = x.new_empty(len(x), len(rows)) if out is None else out
    for i in range(0, len(x), tile):
        for j in range(0, i + 1 if z is None else len(rows), tile):
            part = gram(x[i : i + tile], rows[j : j + tile])
            matrix[i : i + tile, j : j + tile] = part
            if z is None and j < i:
                matrix[j : j + tile, i : i + tile] = part.mT
    return matrix


def starts(size: int) -> list[tuple[int, int]]:
    """First and last column, exclusive, of every panel of a matrix of ``size`` rows."""
    return list(itertools.pairwise([*range(0, size, PANEL), size]))


def kernel_panels(gram: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """The panels of the kernel matrix of ``x`` (N, d): one per :func:`starts`, rows from its first
    column on, (N − first, columns)."""
    panels = []
    for first, last in starts(len(x)):
        panel = x.new_empty(len(x) - first, last - first)
        gram_matrix(gram, x[first:last], out=panel[: last - first])
        if last < len(x):
            gram_matrix(gram, x[last:], x[first:last], out=panel[last - first :])
        panels.append(panel)
    return panels


def split(matrix: Tensor) -> list[Tensor]:
    """The panels of a whole symmetric ``matrix`` (N, N), as views."""
    return [matrix[first:, first:last] for first, last in starts(len(matrix))]


def held(size: int) -> int:
    """Numbers that the panels of a matrix of ``size`` rows hold."""
    return sum((size - first) * (last - first) for first, last in starts(size))


@dataclass(frozen=True)
class Factor:
    """L of LLᵀ: per panel its lower triangle (columns, columns) and the rows below (rows, columns)."""

    parts: Sequence[tuple[Tensor, Tensor]]

    def solve(self, b: Tensor) -> Tensor:
        """L⁻¹b for ``b`` (N, T), a new tensor."""
        x, first = b.clone(), 0
        for corner, below in self.parts:
            last = first + len(corner)
            x[first:last] = torch.linalg.solve_triangular(corner, x[first:last], upper=False)
            if len(below):
                x[last:].addmm_(below, x[first:last], alpha=-1)
            first = last
        return x


def cholesky(matrix: Tensor | Sequence[Tensor], ridge: float, overwrite: bool = False) -> Factor:
    """The factor of ``matrix + ridge · I`` for a symmetric ``matrix`` (N, N), whole or as panels.
    It is left untouched, unless told to ``overwrite``: then the factor takes its place.

    No jitter is ever added: λ is part of the method. In exact arithmetic every squared pivot is at
    least λ, so one below λ/2, or below the rounding error N · 2⁻⁵² · mean K(x, x), shows that
    rounding has swallowed the ridge. Raises :class:`UserError` then.
    """
    panels = split(matrix) if isinstance(matrix, Tensor) else list(matrix)
    if not overwrite:
        panels = [panel.clone(memory_format=torch.contiguous_format) for panel in panels]
    size, kind = len(panels[0]), panels[0].dtype
    scale = sum(float(panel.diagonal().sum()) for panel in panels) / size
    floor, parts = max(ridge / 2, size * torch.finfo(kind).eps * scale), []
    for k, panel in enumerate(panels):
        columns = panel.shape[1]
        panel.diagonal().add_(ridge)
        corner, below = (
            panel[:columns].mT,
            panel[columns:],
        )  # column-major, so that LAPACK factorises it in place
        info = torch.empty((), dtype=torch.int32, device=panel.device)
        torch.linalg.cholesky_ex(corner, out=(corner, info))
        if info.item() or not corner.diagonal().min().item() ** 2 >= floor:
            raise UserError(
                f"baseline.ridge={ridge:g}: too small for this kernel at n={size}, where K + ridge I is not positive "
                f"definite in {str(kind).removeprefix('torch.')} arithmetic; must be larger"
            )
        for rows in below.split(2 * PANEL):
            rows.copy_(torch.linalg.solve_triangular(corner.mT, rows, upper=True, left=False))
        for later, (first, last) in zip(panels[k + 1 :], starts(len(below)), strict=True):
            later.addmm_(below[first:], below[first:last].mT, alpha=-1)
        parts.append((corner, below))
    return Factor(parts)
