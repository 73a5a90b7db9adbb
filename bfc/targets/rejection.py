"""Rows of a law restricted to part of the inputs, by drawing again what falls outside.

A row that is rejected is drawn again from streams of its own (role ``<role>/again1``,
``<role>/again2`` …) until it is not, so it stays a function of (seed, role, row number).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

DrawRows = Callable[[str, Tensor], Tensor]
"""Role and row numbers (R, B) → rows (R, B, d)."""
IsRejected = Callable[[Tensor], Tensor]
"""Rows (R, B, d) → whether each is rejected, (R, B) bool."""


def redraw_rejected(
    draw_rows: DrawRows, is_rejected: IsRejected, role: str, rows: Tensor, max_attempts: int
) -> Tensor:
    """Rows (R, B, d) of ``role`` that are not rejected; only what was rejected is drawn again.

    Raises RuntimeError where rows are left after ``max_attempts``. Waits for the device, to know
    how many are left.
    """
    x = draw_rows(role, rows)
    rows = rows.to(x.device)
    rejected = is_rejected(x)
    for attempt in range(1, max_attempts):
        largest_count = int(rejected.sum(1).max())
        if not largest_count:
            return x
        # The rejected rows of every replica first, padded with accepted ones.
        order = torch.sort(rejected.byte(), dim=1, descending=True, stable=True).indices
        index = order[:, :largest_count]
        pending = rejected.gather(1, index)
        redrawn = draw_rows(f"{role}/again{attempt}", rows.gather(1, index))
        accepted = pending & ~is_rejected(redrawn)
        wide = index.unsqueeze(2).expand_as(redrawn)
        replaced = torch.where(accepted.unsqueeze(2), redrawn, x.gather(1, wide))
        x = x.scatter(1, wide, replaced)
        rejected = rejected.scatter(1, index, pending & ~accepted)
    raise RuntimeError(f"{int(rejected.sum())} rows still rejected after {max_attempts} attempts")


def redraw_all(
    draw_rows: DrawRows, is_rejected: IsRejected, role: str, rows: Tensor, attempts: int
) -> Tensor:
    """The rows of :func:`redraw_rejected`, from ``attempts`` draws of every row.

    Never waits for the device, so that steps on fresh rows do not; ``attempts`` must be enough for
    all rows to pass.
    """
    x = draw_rows(role, rows)
    rejected = is_rejected(x)
    for attempt in range(1, attempts):
        redrawn = draw_rows(f"{role}/again{attempt}", rows)
        x = torch.where(rejected.unsqueeze(2), redrawn, x)
        rejected = rejected & is_rejected(redrawn)
    return x
