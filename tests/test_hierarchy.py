"""The random hierarchy: its rules, its parser against a generator by recursion, unseen strings."""

from __future__ import annotations

import itertools
import math
import random as standard_random

import pytest
import torch

from bfc.errors import UserError
from bfc.targets.hierarchy import Hierarchy, HierarchyDraw
from bfc.targets.hierarchy_strings import TRAINING_ATTEMPTS, rule_frequencies
from bfc.targets.rejection import redraw_all, redraw_rejected

TARGETS = [
    Hierarchy(),
    Hierarchy(v=8, classes=5, m=3, L=4),
    Hierarchy(v=3, classes=3, m=9, s=3, L=2),
    Hierarchy(kind="latin"),
    Hierarchy(v=4, classes=4, m=3, L=2, sparse=2),
    Hierarchy(v=4, classes=4, m=3, L=2, sparse=2, placement="free"),
    Hierarchy(v=4, classes=4, m=5, s=3, L=2, sparse=1, placement="free"),
    Hierarchy(zipf=0.7),
    Hierarchy(classes=2, v=5, m=4),
]
EVERY_KIND = pytest.mark.parametrize("target", TARGETS, ids=str)


def rows(count: int, replicas: int = 1) -> torch.Tensor:
    return torch.arange(count).expand(replicas, -1)


def generate(draw: HierarchyDraw, seed: int) -> tuple[list[int], dict[int, list[int]]]:
    """A string of the first grammar by recursion over its rules, and its symbols per level.

    Written without the code of the target, but for the tables of rules.
    """
    rules, chance = draw.rules, standard_random.Random(seed)
    symbols = [chance.randrange(draw.target.classes)]
    levels = {rules.L: symbols}
    for level in range(rules.L, 0, -1):
        below = []
        for symbol in symbols:
            cells = [-1] * (rules.s * (rules.sparse + 1))
            if symbol >= 0:
                code = chance.choice(rules.tuples[level - 1][0, symbol].tolist())
                places = chance.sample(range(rules.s * (rules.sparse + 1)), rules.s)
                if draw.target.placement == "fixed":
                    places = [
                        i * (rules.sparse + 1) + chance.randrange(rules.sparse + 1)
                        for i in range(rules.s)
                    ]
                for place in sorted(places, reverse=True):
                    code, cells[place] = divmod(code, rules.v)
            below += cells
        symbols = levels[level - 1] = below
    return symbols, levels


@EVERY_KIND
def test_rules_are_distinct_and_a_table_takes_every_tuple_back(target: Hierarchy) -> None:
    rules = target.draw([0, 7]).rules
    assert rules.L == target.L and not torch.equal(rules.tuples[0][0], rules.tuples[0][1])
    for level, (tuples, parents) in enumerate(zip(rules.tuples, rules.parents, strict=True), 1):
        number = target.classes if level == target.L else target.v
        assert tuples.shape == (2, number, target.m)
        for r in range(2):
            codes = tuples[r].flatten().tolist()
            assert len(set(codes)) == number * target.m
            assert all(0 <= code < target.v**target.s for code in codes)
            inverse = {code: a for a in range(number) for code in tuples[r, a].tolist()}
            expected = [inverse.get(code, -1) for code in range(target.v**target.s)]
            assert parents[r].tolist() == expected


def test_latin_rules_are_a_sum_of_children() -> None:
    rules = Hierarchy(kind="latin", v=5, m=5, classes=5).draw([3]).rules
    for parents in rules.parents:
        table = parents[0].view(5, 5).tolist()
        by_sum = [
            {table[i][j] for i in range(5) for j in range(5) if (i + j) % 5 == k} for k in range(5)
        ]
        assert all(len(group) == 1 for group in by_sum)
        assert set.union(*by_sum) == set(range(5))


@EVERY_KIND
def test_the_parser_reads_what_a_generator_writes(target: Hierarchy) -> None:
    draw = target.draw([5], torch.float64)
    strings = [generate(draw, seed) for seed in range(60)]
    x = torch.tensor([symbols for symbols, _ in strings], dtype=torch.float64).unsqueeze(0)
    assert x.shape[2] == target.d
    parsed = draw.parse(x)
    features = draw.features(x)
    for level in range(target.L + 1):
        assert parsed[level][0].tolist() == [levels[level] for _, levels in strings]
    roots = [levels[target.L][0] for _, levels in strings]
    labels = [2 * root - 1 for root in roots] if target.classes == 2 else roots
    assert draw.labels(x)[0].tolist() == labels
    for level, feature in features.items():
        count = target.classes if level == target.L + 1 else target.v
        one_hot = feature[0].unflatten(1, (-1, count))
        is_full = parsed[level - 1][0] >= 0
        assert torch.equal(one_hot.sum(2), is_full.double())
        assert torch.equal(one_hot.argmax(2)[is_full], parsed[level - 1][0][is_full])
    encoded = draw.encode(x)
    assert encoded.shape[2] == target.input_width == target.d * target.v
    assert torch.equal(encoded.unflatten(2, (-1, target.v)).sum(3), (x >= 0).double())


@EVERY_KIND
def test_sampled_strings_are_strings_of_the_grammar(target: Hierarchy) -> None:
    draw = target.draw([0, 1, 2**40], torch.float64)
    for role in ("train", "test"):
        parsed = draw.parse(draw.inputs(role, rows(500, 3)))
        for level in range(target.L + 1):
            full = (parsed[level] >= 0).sum(2)
            assert bool((full == target.s ** (target.L - level)).all())


@EVERY_KIND
def test_no_held_out_string_is_ever_trained_on(target: Hierarchy) -> None:
    draw = target.draw([0, 1])
    seen = {}
    for role in ("train", "validation", "reference", "test"):
        x = draw.inputs(role, rows(3000, 2))
        seen[role] = [set(map(tuple, x[r].tolist())) for r in range(2)]
    for role in ("train", "validation", "reference"):
        assert all(seen[role][r].isdisjoint(seen["test"][r]) for r in range(2))


@pytest.mark.parametrize("placement, ways", [("fixed", 9), ("free", 15)])
def test_symbols_stand_in_every_cell_that_their_placement_allows(placement: str, ways: int) -> None:
    """Two symbols in two cells of three each, or in any two of the six cells."""
    target = Hierarchy(v=4, classes=4, m=4, L=2, sparse=2, placement=placement)
    full = target.draw([3]).strings.sample("train", rows(6000))[0] >= 0
    tuples = full.unflatten(1, (6, 6))[full.unflatten(1, (6, 6)).any(2)]
    assert bool((tuples.sum(1) == 2).all())
    _, counts = torch.unique(tuples, dim=0, return_counts=True)
    assert len(counts) == ways
    shares = counts / counts.sum()
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / ways), atol=0.01, rtol=0)
    assert target.log_strings == pytest.approx(math.log(4 * 4**3 * ways**3))


def test_a_patch_with_a_symbol_too_many_or_too_few_is_no_tuple() -> None:
    draw = Hierarchy(v=4, classes=4, m=4, L=2, sparse=1, placement="free").draw([0])
    x = draw.inputs("train", rows(200))
    patches = x.unflatten(2, (-1, 4))
    full = (patches >= 0).any(3)
    for value in (-1.0, 2.0):
        changed = patches.clone()
        cell = (changed >= 0 if value < 0 else changed < 0).long().argmax(3, keepdim=True)
        changed.scatter_(3, cell, value)
        parsed = draw.parse(changed.flatten(2))
        assert bool((parsed[1][full] == -1).all()) and bool(
            (draw.labels(changed.flatten(2)) == -1).all()
        )


def test_an_eighth_of_all_strings_is_held_out() -> None:
    target = Hierarchy(v=4, m=4, L=2)
    draw = target.draw(range(32))
    strings = torch.tensor(list(itertools.product(range(4), repeat=4))).expand(32, -1, -1)
    share = draw.strings.is_held_out(strings).double().mean(1)
    assert float(share.mean()) == pytest.approx(1 / 8, abs=4 * (7 / 64 / 256 / 32) ** 0.5)
    assert len(set(share.tolist())) > 10, "every seed holds out strings of its own"
    test = {tuple(row) for row in draw.inputs("test", rows(4000, 32))[0].long().tolist()}
    assert len(test) == int(draw.strings.is_held_out(strings)[0].sum())


def test_classes_and_rules_are_drawn_with_their_frequencies() -> None:
    target = Hierarchy(v=4, classes=3, m=4, L=2, zipf=1.0)
    draw, count = target.draw([4]), 40_000
    x = draw.strings.sample("train", rows(count))
    levels = draw.parse(x)
    shares = torch.bincount(levels[2].flatten(), minlength=3) / count
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), atol=0.015, rtol=0)
    codes = x[0].view(-1, 2) @ torch.tensor([4, 1])
    rank = {}
    for symbol in range(4):
        for k, code in enumerate(draw.rules.tuples[0][0, symbol].tolist()):
            rank[code] = k
    ranks = torch.tensor([rank[code] for code in codes.tolist()])
    want = torch.tensor([k**-2.0 for k in range(1, 5)])
    torch.testing.assert_close(
        torch.bincount(ranks, minlength=4) / len(ranks), want / want.sum(), atol=0.01, rtol=0
    )
    assert rule_frequencies(5, 0.0) == [0.2] * 5


@EVERY_KIND
def test_a_redrawn_string_keeps_its_symbols_at_a_level_and_changes_those_below(
    target: Hierarchy,
) -> None:
    draw = target.draw([0, 9], torch.float64)
    x = draw.inputs("train", rows(400, 2))
    for level in range(1, target.L + 1):
        again = draw.redraw(x, level, "synonyms", rows(400, 2))
        before, after = draw.parse(x), draw.parse(again)
        for upper in range(level, target.L + 1):
            assert torch.equal(before[upper], after[upper])
        assert float((again != x).any(2).double().mean()) > 0.7
        assert torch.equal(again, draw.redraw(x, level, "synonyms", rows(400, 2)))


def test_rows_that_never_wait_for_a_device_are_the_same_rows() -> None:
    strings = Hierarchy().draw([0, 1]).strings
    arguments = (strings.sample, strings.is_held_out, "train", rows(5000, 2), TRAINING_ATTEMPTS)
    assert bool(strings.is_held_out(strings.sample("train", rows(5000, 2))).any())
    assert torch.equal(redraw_all(*arguments), redraw_rejected(*arguments))


def test_rejection_gives_up_with_a_count() -> None:
    strings = Hierarchy().draw([0]).strings
    never = torch.ones(1, 8, dtype=torch.bool)
    with pytest.raises(RuntimeError, match="8 rows still rejected after 3 attempts"):
        redraw_rejected(strings.sample, lambda x: never[:, : x.shape[1]], "train", rows(8), 3)


@pytest.mark.parametrize("loss_by", ["cross_entropy", "squared"])
@pytest.mark.parametrize("judged, chance", [("zero_one", 0.5), ("squared", 1.0)])
def test_two_classes_are_signs(loss_by: str, judged: str, chance: float) -> None:
    target = Hierarchy(classes=2, loss_by=loss_by, judged=judged)
    draw = target.draw([0], torch.float64)
    y = draw.labels(draw.inputs("test", rows(2000)))
    assert target.outputs == 1 and set(y.flatten().tolist()) == {-1.0, 1.0}
    assert float(draw.chance) == chance and float(draw.variance) == 1.0
    out = torch.linspace(-2, 2, 2000, dtype=torch.float64).unsqueeze(0)
    squares = (out - y).square()
    logistic = (1 + (-out * y).exp()).log()
    wanted = {"squared": squares, "cross_entropy": logistic}[loss_by]
    torch.testing.assert_close(target.loss(out, y), wanted)
    wanted = {"squared": squares, "zero_one": (out.sign() != y).double()}[judged]
    torch.testing.assert_close(target.error(out, y), wanted)


def test_an_answer_that_is_nan_is_wrong() -> None:
    for target, scores in ((Hierarchy(), (1, 3, 4)), (Hierarchy(classes=2), (1, 3))):
        out = torch.full(scores, float("nan"))
        assert bool((target.error(out, torch.zeros(1, 3)) == 1).all())


def test_lengths_and_numbers_of_strings() -> None:
    assert Hierarchy(L=4).d == 16 and Hierarchy(v=3, classes=3, m=9, s=3, L=2).d == 9
    assert Hierarchy(v=4, classes=4, m=3, L=2, sparse=2).d == 36
    target = Hierarchy(v=8, classes=8, m=3, L=3)
    assert target.facts()["log10_P_max"] == pytest.approx(math.log10(8 * 3**7))
    assert target.theory()["tree"].nstar == 8 * 27
    assert target.theory()["tree"].exponent == pytest.approx(math.log(3) / math.log(2))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"m": 5}, ["target.m=5", "at most 4", "v^s = 16"]),
        ({"classes": 8}, ["target.m=4", "at most 2"]),
        ({"kind": "latin", "m": 3}, ["target.m=3", "target.v = 4", "latin"]),
        ({"kind": "latin", "classes": 3}, ["target.classes=3", "target.v = 4"]),
        ({"kind": "latin", "s": 3}, ["target.s=3", "2 with target.kind=latin"]),
        ({"kind": "latim"}, ["target.kind=latim", "did you mean latin"]),
        ({"L": 1}, ["target.L=1", "fewer than 128 strings"]),
        ({"L": 13}, ["target.L=13", "1 to 12"]),
        ({"L": 12, "sparse": 1}, ["target.L=12", "16777216 cells"]),
        ({"v": 1}, ["target.v=1", "2 to 1024"]),
        ({"v": 1024, "s": 3}, ["target.s=3", "1073741824 tuples"]),
        ({"zipf": -1.0}, ["target.zipf=-1", "0 to 16"]),
        ({"sparse": -1}, ["target.sparse=-1", "0 to 64"]),
        ({"placement": "free"}, ["target.sparse=0", ">= 1 with target.placement=free"]),
        (
            {"v": 2, "classes": 2, "s": 16, "L": 2, "sparse": 4, "placement": "free"},
            ["target.sparse=4", "16 symbols stand in 80 cells", "ways"],
        ),
        ({"placement": "fre"}, ["target.placement=fre", "did you mean free"]),
        ({"classes": 1}, ["target.classes=1", "2 to 1024"]),
        ({"loss_by": "hinge"}, ["target.loss_by=hinge", "cross_entropy or squared"]),
    ],
)
def test_bad_values_are_refused_in_one_sentence(build, changes, words) -> None:
    with pytest.raises(UserError) as caught:
        build("target", "hierarchy", **changes)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message
