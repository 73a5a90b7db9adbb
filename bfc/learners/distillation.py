"""The narrow parts of the untied network: how they start and how they are tied to the wide ones."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

REGULARISERS = ("distill_cross", "distill_previous", "distill_all")
"""lambda_3, lambda_4 and lambda_5 of the paper; lambda_6 is ``decay``."""


def init_distill(wide: list[Tensor], p: int, of: str) -> list[Tensor]:
    """K_l of p rows from the blocks (R, m, C_j) of W_l, the highest source first.

    ``whole``: K'K is the best rank-p approximation of W'W, from the top singular vectors of W.
    ``cross``: K_prev' K_rest is the best rank-p approximation of W_prev' W_rest, split evenly (the
    paper's, recalled); a level with one block has no cross part and takes the whole. Rows beyond
    the rank are zero.
    """
    if of == "whole" or len(wide) == 1:
        _, singular, right = torch.linalg.svd(torch.cat(wide, 2), full_matrices=False)
        rows = right * singular.unsqueeze(2)
    else:
        cross = wide[0].mT @ torch.cat(wide[1:], 2)
        left, singular, right = torch.linalg.svd(cross, full_matrices=False)
        rows = torch.cat([left.mT, right], 2) * singular.sqrt().unsqueeze(2)
    rows = rows[:, : min(p, wide[0].shape[1])]
    sign = rows.gather(2, rows.abs().argmax(2, keepdim=True)).sign()
    rows = torch.nn.functional.pad(rows * sign, (0, 0, 0, p - rows.shape[1]))
    widths = [w.shape[2] for w in wide]
    return [part.contiguous() for part in torch.split(rows, widths, 2)]


def regulariser(kind: str, narrow: Sequence[Tensor], wide: Sequence[Tensor]) -> Tensor:
    """One regulariser of a level, (R,), from its blocks of K and W, the highest source first."""
    if kind == "decay":
        return _add_all([part.square().sum((1, 2)) for part in (*narrow, *wide)])
    terms = []
    for i, j in _block_pairs(kind, len(narrow)):
        difference = narrow[i].mT @ narrow[j] - wide[i].mT @ wide[j]
        terms.append(difference.square().sum((1, 2)))
    if not terms:
        return torch.zeros_like(narrow[0][:, 0, 0])
    return _add_all(terms)


def _block_pairs(kind: str, blocks: int) -> list[tuple[int, int]]:
    """The pairs of blocks that a regulariser compares, the highest source being block 0."""
    if kind == "distill_cross":
        return [(0, j) for j in range(1, blocks)]
    if kind == "distill_previous":
        return [(0, 0)]
    return list(itertools.product(range(blocks), range(blocks)))


def _add_all(terms: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.add, terms)
