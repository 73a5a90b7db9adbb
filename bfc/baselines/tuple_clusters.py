"""Reading strings level by level: tuples of symbols are clustered, and clusters are new symbols.

What makes two tuples alike is all that methods of this kind differ in. They use no gradient and no
kernel, and learn the random hierarchy (:mod:`bfc.targets.hierarchy`) with about as many samples as
the best networks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from bfc import stop_signals
from bfc.baselines.base import CurveBaseline
from bfc.errors import UserError, require
from bfc.targets.class_target import one_hot
from bfc.targets.hierarchy import Hierarchy
from bfc.types import LearningCurve, Target

MAX_TUPLES = 4096
"""Largest v^s; Ward linkage holds the distances of all pairs."""


@dataclass(frozen=True, kw_only=True)
class TupleClustering(CurveBaseline):
    """Levels 1 … L − 1: tuples → v clusters, which are the symbols of the next level; then counts.

    The clusters are those of Ward linkage on a vector per tuple (:meth:`describe`); tuples that do
    not occur among the training rows share a cluster. At the root the answer is the most frequent
    class of the training rows with the same tuple. Nothing is tuned. The grammar's v, s and L are
    given, its rules are not. Raises :class:`bfc.errors.UserError` on a value out of range.
    """

    supports_multi_output: ClassVar[bool] = True

    distance: Literal["euclidean", "hellinger"]
    """Between laws: of their probabilities, or of the square roots of these."""

    @abstractmethod
    def cluster(self, tuples: Tensor, classes: Tensor, target: Hierarchy) -> Tensor:
        """Tuple → its cluster, (v^s,) int64, from tuples (n, P) and classes (n,) of training rows.

        Neighbouring s of the P places make a tuple of the next level.
        """

    @property
    def num_tuning_curves(self) -> int:
        return 0

    def check(self, target: Target) -> None:
        inner = target.unwrapped
        if not isinstance(inner, Hierarchy) or target.input_width != inner.input_width:
            raise UserError(
                f"baseline: {self.label} reads tuples of symbols; needs target=hierarchy with "
                f"representation=raw, not {type(inner).__name__}"
            )
        require(not inner.sparse, "target.sparse", inner.sparse, "0 for a baseline of clusters")
        tuples = inner.v**inner.s
        words = f"smaller for a baseline of clusters: v^s = {tuples} is more than {MAX_TUPLES}"
        require(tuples <= MAX_TUPLES, "target.s", inner.s, words)

    def tune(
        self,
        target: Target,
        test: int,
        device: torch.device | str = "cpu",
        on_curves: Callable[[int], None] = lambda count: None,
    ) -> dict[str, Any]:
        """Nothing is chosen."""
        return {"trainings": 0, "seeds": [], "tried": [], "edges": [], "at_edge": False}

    def curve(
        self,
        target: Target,
        seed: int,
        test: int,
        tuned: Mapping[str, Any],
        device: torch.device | str = "cpu",
    ) -> LearningCurve:
        grammar = target.unwrapped
        assert isinstance(grammar, Hierarchy)
        samples = self.draw_samples(target, seed, test, "cpu")
        symbols, test_symbols = (read_symbols(x, grammar.v) for x in (samples.x, samples.x_test))
        is_binary = target.outputs == 1
        classes = (samples.y > 0).long() if is_binary else samples.y.argmax(1)
        risks = []
        for n in self.grid:
            stop_signals.raise_if_requested()
            answer = self.classify(symbols[:n], classes[:n], test_symbols, grammar)
            scores = 2.0 * answer - 1 if is_binary else one_hot(answer, target.outputs).double()
            error = target.error(scores.unsqueeze(0), samples.f_test.unsqueeze(0)).mean()
            risks.append(float(error) / samples.draw.chance.item())
        return LearningCurve(self.grid, risks)

    def classify(
        self, symbols: Tensor, classes: Tensor, test_symbols: Tensor, grammar: Hierarchy
    ) -> Tensor:
        """Classes (T,) of strings ``test_symbols`` (T, d), from ``symbols`` (n, d), ``classes``."""
        v, s = grammar.v, grammar.s
        for _ in range(grammar.L - 1):
            tuples = number_tuples(symbols, v, s)
            cluster_of = self.cluster(tuples, classes, grammar)
            symbols = cluster_of[tuples]
            test_symbols = cluster_of[number_tuples(test_symbols, v, s)]
        top, test_top = (number_tuples(part, v, s)[:, 0] for part in (symbols, test_symbols))
        counts = count_pairs(top, classes, v**s, grammar.classes)
        return counts.argmax(1)[test_top]

    def group(self, counts: Tensor, v: int) -> Tensor:
        """v clusters of tuples (K,) by the laws ``counts`` (K, A, B): A laws on B values each."""
        total = counts.sum(2, keepdim=True)
        laws = counts / total.clamp(min=1)
        if self.distance == "hellinger":
            laws = laws.sqrt()
        else:
            laws = torch.where(total > 0, laws - 1 / counts.shape[2], 0.0)
        return ward_clusters(laws.flatten(1), total.sum((1, 2)) > 0, v)


def read_symbols(x: Tensor, v: int) -> Tensor:
    """One-hot rows (n, d v) → symbols (n, d), int64."""
    return torch.unflatten(x, 1, (-1, v)).argmax(2)


def number_tuples(symbols: Tensor, v: int, s: int) -> Tensor:
    """Symbols (n, P s) → the numbers Σ c_i v^(s−i) of their tuples, (n, P)."""
    powers = v ** torch.arange(s - 1, -1, -1)
    return (torch.unflatten(symbols, 1, (-1, s)) * powers).sum(2)


def count_pairs(a: Tensor, b: Tensor, num_a: int, num_b: int) -> Tensor:
    """How often each pair of numbers occurs in ``a``, ``b`` of one shape; (num_a, num_b)."""
    counts = torch.bincount((a * num_b + b).flatten(), minlength=num_a * num_b)
    return counts.view(num_a, num_b).double()


def ward_clusters(vectors: Tensor, occurs: Tensor, count: int) -> Tensor:
    """Clusters 0 … count − 1 of the rows of ``vectors`` (K, q) by Ward linkage, (K,) int64.

    Rows that do not occur (``occurs`` (K,) bool) are left out of the linkage and get 0.
    """
    clusters = torch.zeros(len(vectors), dtype=torch.int64)
    rows = occurs.nonzero().squeeze(1)
    if len(rows) <= count:
        clusters[rows] = torch.arange(len(rows))
        return clusters
    merges = linkage(vectors[rows].numpy(), "ward")
    clusters[rows] = torch.from_numpy(fcluster(merges, count, "maxclust")).long() - 1
    return clusters
