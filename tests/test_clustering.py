"""Clustering of tuples: toys by hand, all strings of a grammar, and n* where it was measured."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from bfc.baselines.clustering import Clustering
from bfc.baselines.latent_clustering import LatentClustering, sibling_counts
from bfc.baselines.tuple_clusters import (
    TupleClustering,
    count_pairs,
    number_tuples,
    read_symbols,
    ward_clusters,
)
from bfc.errors import UserError
from bfc.targets.hierarchy import Hierarchy, HierarchyDraw
from bfc.targets.parity import Parity

METHODS = pytest.mark.parametrize(
    ("method", "target"),
    [
        (Clustering(), Hierarchy(L=2)),
        (Clustering(distance="hellinger"), Hierarchy(L=2)),
        (LatentClustering(), Hierarchy(v=6, classes=6, m=2, L=3)),
        (LatentClustering(distance="euclidean"), Hierarchy(v=6, classes=6, m=2, L=3)),
    ],
    ids=lambda part: getattr(part, "label", None),
)


def all_strings(draw: HierarchyDraw) -> tuple[Tensor, Tensor]:
    """Every string of the first grammar once, (n, d), and its class, (n,), by its tables of rules.

    All levels but the lowest two choose their first rules.
    """
    target, rules = draw.target, draw.rules
    strings = []
    for root in range(target.classes):
        strings += [(root, symbols) for symbols in expand(rules, rules.L, [root])]
    classes, symbols = zip(*strings, strict=True)
    return torch.tensor(symbols), torch.tensor(classes)


def expand(rules, level: int, symbols: list[int]) -> list[list[int]]:
    """All strings that come from the symbols of a level."""
    if level == 0:
        return [symbols]
    strings = []
    tuples = [rules.tuples[level - 1][0, symbol].tolist() for symbol in symbols]
    for codes in itertools.product(*tuples):
        below: list[int] = []
        for code in codes:
            below += divmod(code, rules.v)
        strings += expand(rules, level - 1, below)
    return strings


def median_risk(method: TupleClustering, target: Hierarchy) -> float:
    """At its largest n, over 5 seeds."""
    return float(np.median([method.curve(target, s, 512, {}).risk[-1] for s in range(5)]))


def same_partition(a: Tensor, b: Tensor) -> bool:
    """Whether equal numbers of ``a`` stand where equal numbers of ``b`` stand."""
    return bool(((a.unsqueeze(0) == a.unsqueeze(1)) == (b.unsqueeze(0) == b.unsqueeze(1))).all())


def test_tuples_are_numbered_and_counted():
    one_hot = torch.tensor([[0.0, 1, 1, 0, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0, 0, 1]])
    symbols = read_symbols(one_hot, 2)
    assert symbols.tolist() == [[1, 0, 1, 1], [0, 0, 0, 1]]
    tuples = number_tuples(symbols, 2, 2)
    assert tuples.tolist() == [[2, 3], [0, 1]]
    counts = count_pairs(tuples[:, 0], torch.tensor([1, 0]), 4, 2)
    assert counts.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


def test_ward_linkage_puts_neighbours_together_and_leaves_out_what_does_not_occur():
    points = torch.tensor([[0.0], [5.0], [0.2], [100.0], [5.1], [9.0]], dtype=torch.float64)
    occurs = torch.tensor([True, True, True, False, True, True])
    clusters = ward_clusters(points, occurs, 3)
    assert same_partition(clusters[occurs], torch.tensor([0, 1, 0, 1, 2]))
    assert ward_clusters(points, occurs, 5)[occurs].sort().values.tolist() == [0, 1, 2, 3, 4]


def test_clusters_of_a_toy_by_hand():
    """Tuples 0 and 3 occur with class 0, 1 with class 1, at both places; 2 does not occur."""
    toy = Hierarchy(v=2, classes=2, m=2, L=4)
    tuples = torch.tensor([[0, 3], [3, 0], [0, 0], [1, 1]])
    classes = torch.tensor([0, 0, 0, 1])
    clusters = Clustering().cluster(tuples, classes, toy)
    assert same_partition(clusters[[0, 1, 3]], torch.tensor([0, 1, 0]))


def test_siblings_of_a_toy_by_hand():
    """Families (0, 3) and (1, 3) and twice (2, 0): 0 and 1 are alike on the left, 2 is not."""
    families = torch.tensor([[[0, 3]], [[1, 3]], [[2, 0]], [[2, 0]]])
    counts = sibling_counts(families, families, 4, 4)
    assert counts.shape == (4, 2, 4)
    on_the_right, on_the_left = counts.unbind(1)
    assert on_the_right.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [2, 0, 0, 0], [0, 0, 0, 0]]
    assert on_the_left.tolist() == [[0, 0, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]]


@METHODS
def test_the_clusters_of_all_strings_are_the_symbols_of_the_grammar(
    method: TupleClustering, target: Hierarchy
):
    """With every string known, synonyms have one vector, and other tuples another."""
    draw = target.draw([3])
    symbols, classes = all_strings(draw)
    assert len(symbols) == round(np.exp(target.log_strings))
    clusters = method.cluster(number_tuples(symbols, target.v, target.s), classes, target)
    parents = draw.rules.parents[0][0]
    occurs = parents >= 0
    assert same_partition(clusters[occurs], parents[occurs])


@METHODS
def test_strings_that_were_left_out_are_classified(method: TupleClustering, target: Hierarchy):
    symbols, classes = all_strings(target.draw([3]))
    order = torch.randperm(len(symbols), generator=torch.Generator().manual_seed(0))
    test, train = order[: len(order) // 16], order[len(order) // 16 :]
    answer = method.classify(symbols[train], classes[train], symbols[test], target)
    assert float((answer == classes[test]).double().mean()) > 0.95


@pytest.mark.parametrize(
    ("method", "L", "few", "many"),
    [(Clustering, 3, 150, 700), (LatentClustering, 3, 80, 300), (LatentClustering, 4, 80, 300)],
)
def test_the_threshold_lies_where_it_was_measured(method, L, few, many):
    """n* = 340 by classes at v = 8, m = 3, L = 3, and 150 by neighbours at every L."""
    target = Hierarchy(v=8, classes=8, m=3, L=L)
    before, after = (median_risk(method(n_max=n, n_ratio=1e4), target) for n in (few, many))
    assert before > 0.4 and after < 0.1


def test_two_classes_are_answered_by_signs():
    target = Hierarchy(classes=2, v=8, m=2, L=3)
    assert target.outputs == 1
    curve = LatentClustering(n_max=600, n_ratio=100.0).curve(target, 1, 512, {})
    assert curve.risk[-1] < 0.2 < curve.risk[0]


def test_the_control_without_correlations_is_not_learned():
    target = Hierarchy(kind="latin", L=2)
    curve = Clustering(n_max=192, n_ratio=100.0).curve(target, 0, 512, {})
    assert curve.risk[-1] > 0.8


@pytest.mark.parametrize(
    ("method", "target", "words"),
    [
        (Clustering(), Parity(d=4), "needs target=hierarchy with representation=raw, not Parity"),
        (Clustering(), Hierarchy(v=4, m=3, L=2, sparse=1), "target.sparse=1: must be 0"),
        (LatentClustering(), Hierarchy(), r"target.m must be below v\^\(s-1\) = 4"),
        (Clustering(), Hierarchy(v=90, classes=4, m=10, L=2), "v\\^s = 8100 is more than 4096"),
    ],
    ids=str,
)
def test_other_targets_are_refused_in_one_sentence(method, target, words):
    with pytest.raises(UserError, match=words) as caught:
        method.check(target)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [{"passes": -1}, {"distance": "cosine"}, {"n_max": 8}], ids=str)
def test_bad_values_are_refused(values):
    with pytest.raises(UserError, match=rf"^baseline\.{next(iter(values))}="):
        LatentClustering(**values)
