"""Clustering of tuples by the classes they occur with, the plainest method for random hierarchies.

Synonyms (tuples of one symbol) have the same law of the class given the tuple, at every place of
the string, so that they can be told from a number of samples near n_c m^L (Cagnetta et al., PRX 14,
031001; Ren et al., arXiv:2601.19756, prove it for training level by level).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc.baselines.tuple_clusters import TupleClustering, count_pairs
from bfc.targets.hierarchy import Hierarchy


@dataclass(frozen=True, kw_only=True)
class Clustering(TupleClustering):
    """Tuples are alike where the classes that occur with them are, place by place.

    The vector of a tuple is the frequency of every class among the training rows with this tuple at
    a place, minus 1/n_c, for all places one after the other; 0 where it does not occur there.
    """

    identity_name: ClassVar[str] = "bfc.baselines.clustering.Clustering"
    version: ClassVar[int] = 1

    distance: Literal["euclidean", "hellinger"] = "euclidean"

    @property
    def label(self) -> str:
        return "clustering by classes" + (", Hellinger" if self.distance == "hellinger" else "")

    def curve_seconds(self, width: int, test: int) -> float:
        return sum(5e-3 + 2e-8 * width * (n + test) for n in self.grid)

    def cluster(self, tuples: Tensor, classes: Tensor, target: Hierarchy) -> Tensor:
        size = target.v**target.s
        places = [count_pairs(t, classes, size, target.classes) for t in tuples.unbind(1)]
        return self.group(torch.stack(places, 1), target.v)
