"""Clustering of tuples by their neighbours, without a label below the root.

Synonyms occur beside the same neighbours, and a tuple has neighbours at all places of all strings,
so that a number of samples suffices that does not grow with depth (the idea of arXiv:2605.27734,
whose algorithm was not read: this one is ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.baselines.checks import check_value, integers_from
from bfc.baselines.tuple_clusters import TupleClustering, count_pairs
from bfc.errors import UserError
from bfc.targets.hierarchy import Hierarchy
from bfc.types import Target


@dataclass(frozen=True, kw_only=True)
class LatentClustering(TupleClustering):
    """Tuples are alike where their siblings are, the other tuples that make one with them.

    The vector of a tuple is the law of every sibling, for every position in the parent's tuple,
    over all places and rows: at first the sibling's tuple, then ``passes`` times the sibling's
    cluster of the pass before. Classes are used at the root alone. Needs m < v^(s−1): otherwise all
    tuples occur and say nothing about their siblings.
    """

    identity_name: ClassVar[str] = "bfc.baselines.latent_clustering.LatentClustering"
    version: ClassVar[int] = 1

    distance: Literal["euclidean", "hellinger"] = "hellinger"
    passes: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_value("passes", self.passes, integers_from(0, 100))

    @property
    def label(self) -> str:
        euclidean = ", Euclidean" if self.distance == "euclidean" else ""
        return f"latent clustering ({self.passes} passes{euclidean})"

    def check(self, target: Target) -> None:
        super().check(target)
        grammar = target.unwrapped
        assert isinstance(grammar, Hierarchy)
        if grammar.m >= grammar.v ** (grammar.s - 1):
            raise UserError(
                f"baseline=latent_clustering: with target.m = {grammar.m} symbols are independent "
                f"of their neighbours; target.m must be below v^(s-1) = "
                f"{grammar.v ** (grammar.s - 1)}"
            )

    def curve_seconds(self, width: int, test: int) -> float:
        return sum((self.passes + 1) * (1e-2 + 5e-8 * width * n) for n in self.grid)

    def cluster(self, tuples: Tensor, classes: Tensor, target: Hierarchy) -> Tensor:
        size = target.v**target.s
        families = torch.unflatten(tuples, 1, (-1, target.s))
        clusters = self.group(sibling_counts(families, families, size, size), target.v)
        for _ in range(self.passes):
            counts = sibling_counts(families, clusters[families], size, target.v)
            clusters = self.group(counts, target.v)
        return clusters


def sibling_counts(tuples: Tensor, values: Tensor, num_tuples: int, num_values: int) -> Tensor:
    """How often a tuple at position i has each value at position j ≠ i of its family.

    ``tuples`` and ``values`` (n, families, s) → (num_tuples, s (s − 1), num_values).
    """
    positions = range(tuples.shape[2])
    counts = []
    for i in positions:
        for j in positions:
            if j != i:
                pairs = tuples[..., i], values[..., j]
                counts.append(count_pairs(*pairs, num_tuples, num_values))
    return torch.stack(counts, 1)
