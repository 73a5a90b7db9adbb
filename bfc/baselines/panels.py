"""Symmetric matrices stored as their column panels on and below the diagonal.

They take half the memory of a square, and a Cholesky factor can take the place of the matrix, so
that a kernel of n = 10⁵ points (40 GB) fits one GPU. Up to :data:`PANEL` rows there is one panel,
the matrix itself, and LAPACK factorises it; beyond that the panels are factorised one after the
other (right-looking, Golub & Van Loan, Matrix Computations, 4th ed., §4.2.9), nearly all of it
products of large matrices.
"""

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
    """The kernel matrix (N, M) of ``x`` (N, d) against ``z`` (M, d), or of ``x`` with itself.

    It is written to ``out`` if that is given. It is computed by tiles that stay in a CPU's cache,
    since a kernel is a chain of elementwise passes, and on a GPU leave its memory to the matrix;
    only on and below the diagonal where the matrix is symmetric.
    """
    symmetric = z is None
    columns = x if z is None else z
    tile = TILE if x.device.type == "cpu" else GPU_TILE
    matrix = x.new_empty(len(x), len(columns)) if out is None else out
    for i in range(0, len(x), tile):
        for j in range(0, i + 1 if symmetric else len(columns), tile):
            part = gram(x[i : i + tile], columns[j : j + tile])
            matrix[i : i + tile, j : j + tile] = part
            if symmetric and j < i:
                matrix[j : j + tile, i : i + tile] = part.mT
    return matrix


def starts(size: int) -> list[tuple[int, int]]:
    """First and last column, exclusive, of every panel of a matrix of ``size`` rows."""
    return list(itertools.pairwise([*range(0, size, PANEL), size]))


def kernel_panels(gram: Callable[[Tensor, Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """The panels of the kernel matrix of ``x`` (N, d), one per :func:`starts`.

    A panel holds the rows from its first column on, (N − first, columns).
    """
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


def count_entries(size: int) -> int:
    """How many numbers the panels of a matrix of ``size`` rows hold."""
    return sum((size - first) * (last - first) for first, last in starts(size))


@dataclass(frozen=True)
class Factor:
    """L of LLᵀ: per panel its lower triangle (columns, columns) and the rows below it."""

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

    The matrix is left untouched unless ``overwrite``: then the factor takes its place. No jitter is
    ever added: λ is part of the method. In exact arithmetic every squared pivot is at least λ, so
    one below λ/2, or below the rounding error N · 2⁻⁵² · mean K(x, x), shows that rounding has
    swallowed the ridge. Raises :class:`UserError` then.
    """
    panels = split(matrix) if isinstance(matrix, Tensor) else list(matrix)
    if not overwrite:
        panels = [panel.clone(memory_format=torch.contiguous_format) for panel in panels]
    size, dtype = len(panels[0]), panels[0].dtype
    scale = sum(float(panel.diagonal().sum()) for panel in panels) / size
    smallest_pivot = max(ridge / 2, size * torch.finfo(dtype).eps * scale)
    parts = []
    for k, panel in enumerate(panels):
        panel.diagonal().add_(ridge)
        factorised = _factorise(panel, smallest_pivot)
        if factorised is None:
            raise UserError(
                f"baseline.ridge={ridge:g}: too small for this kernel at n={size}, where "
                f"K + ridge I is not positive definite in {str(dtype).removeprefix('torch.')} "
                "arithmetic; must be larger"
            )
        below = factorised[1]
        for later, (first, last) in zip(panels[k + 1 :], starts(len(below)), strict=True):
            later.addmm_(below[first:], below[first:last].mT, alpha=-1)
        parts.append(factorised)
    return Factor(parts)


def _factorise(panel: Tensor, smallest_pivot: float) -> tuple[Tensor, Tensor] | None:
    """The columns of L in a panel, in its place: the lower triangle and the rows below.

    None where a squared pivot is below ``smallest_pivot``.
    """
    columns = panel.shape[1]
    corner = panel[:columns].mT  # column-major, so that LAPACK factorises it in place
    below = panel[columns:]
    info = torch.empty((), dtype=torch.int32, device=panel.device)
    torch.linalg.cholesky_ex(corner, out=(corner, info))
    if info.item() or not corner.diagonal().min().item() ** 2 >= smallest_pivot:
        return None
    for rows in torch.split(below, 2 * PANEL):
        rows.copy_(torch.linalg.solve_triangular(corner.mT, rows, upper=True, left=False))
    return corner, below
