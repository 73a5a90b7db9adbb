"""Exact facts of the random hierarchy against enumeration: its spectrum, its signal, kernels."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from torch import Tensor

from bfc.baselines.features import RandomFeatures
from bfc.baselines.kernels import NTK, Polynomial
from bfc.baselines.ridge import KernelRidge
from bfc.bounds.kernel_law import (
    KernelLaw,
    check_law,
    eigenvalues,
    kernel_of_agreement,
    predict_risks,
)
from bfc.errors import UserError
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.order_spectrum import (
    multiplicities,
    samples_of_the_best_kernel,
    variance_shares,
)
from bfc.targets.rule_tables import Grammar
from bfc.targets.tuple_signal import class_given_symbol, signal_samples

FULL = [Grammar(3, 3, 3, 2, 2), Grammar(2, 2, 4, 3, 2), Grammar(4, 4, 4, 2, 2, "latin")]
"""Grammars in which every string is one, short enough to enumerate."""
GRAMMARS = pytest.mark.parametrize("grammar", FULL, ids=str)


def all_strings(v: int, d: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(v), repeat=d)))


def one_hot(strings: Tensor, v: int) -> Tensor:
    return torch.nn.functional.one_hot(strings, v).double().flatten(1)


@GRAMMARS
def test_the_spectrum_is_that_of_a_brute_force_anova(grammar: Grammar) -> None:
    """The part of the order of a set of places is the mean given these less all smaller parts."""
    d = grammar.s**grammar.L
    rules = grammar.draw([3])
    strings = all_strings(grammar.v, d)
    roots = rules.parse(strings.unsqueeze(0))[grammar.L][0, :, 0]
    f = torch.nn.functional.one_hot(roots, grammar.classes).double()
    f = f.view(*[grammar.v] * d, grammar.classes).numpy()
    variances = np.zeros(d + 1)
    parts: dict[tuple[int, ...], np.ndarray] = {}
    for order in range(d + 1):
        for places in itertools.combinations(range(d), order):
            others = tuple(i for i in range(d) if i not in places)
            part = f.mean(axis=others, keepdims=True)
            for size in range(order):
                for smaller in itertools.combinations(places, size):
                    part = part - parts[smaller]
            parts[places] = part
            variances[order] += (part**2).sum(-1).mean()
    expected = variances[1:] / variances[1:].sum()
    np.testing.assert_allclose(variance_shares(rules)[0], expected, rtol=0, atol=1e-12)
    total = (f**2).sum(-1).mean() - (f.reshape(-1, grammar.classes).mean(0) ** 2).sum()
    assert variances[1:].sum() == pytest.approx(total, rel=1e-12)


def test_a_latin_hierarchy_has_all_its_variance_at_the_highest_order() -> None:
    shares = variance_shares(Grammar(5, 5, 5, 2, 3, "latin").draw([0, 1]))
    assert shares.shape == (2, 8)
    np.testing.assert_allclose(shares[:, -1], 1)


def test_the_mean_spectrum_is_the_known_one() -> None:
    shares = variance_shares(Grammar(4, 4, 4, 2, 3).draw(range(400))).mean(0)
    known = [0.070, 0.154, 0.179, 0.213, 0.146, 0.133, 0.070, 0.035]
    np.testing.assert_allclose(shares, known, rtol=0, atol=0.006)


@pytest.mark.parametrize("v, d", [(3, 4), (2, 7)])
def test_eigenvalues_are_those_of_the_kernel_matrix_of_all_strings(v: int, d: int) -> None:
    kernel = NTK(depth=3, bias=0.1)
    x = one_hot(all_strings(v, d), v)
    expected = torch.linalg.eigvalsh(kernel.gram(x, x) / len(x)).numpy()
    values = eigenvalues(kernel_of_agreement(kernel, v, d), v)
    repeated = np.sort(np.repeat(values, multiplicities(v, d).astype(int)))
    np.testing.assert_allclose(repeated, expected, rtol=1e-9, atol=1e-13)


def test_a_rotation_invariant_kernel_is_one_of_the_number_of_agreeing_symbols(
    build, node, baseline_name
) -> None:
    baseline = build("baseline", baseline_name)
    if not isinstance(baseline, KernelRidge) or not baseline.is_rotation_invariant:
        pytest.skip("no such kernel")
    kappa = kernel_of_agreement(baseline, 3, 6)
    generator = torch.Generator().manual_seed(0)
    strings = torch.randint(0, 3, (40, 6), generator=generator)
    agreeing = (strings.unsqueeze(1) == strings).sum(2)
    x = one_hot(strings, 3)
    np.testing.assert_allclose(baseline.gram(x, x), kappa[agreeing], rtol=1e-9, atol=1e-12)


def test_the_law_is_what_ridge_regression_measures() -> None:
    """From n = 700 on, within 5 % in the mean over three grammars."""
    target = Hierarchy(v=4, m=4, classes=4, L=3, judged="squared")
    kernel = NTK(n_max=1300, n_ratio=1.25)
    ratios = []
    for seed in range(3):
        curve = kernel.curve(target, seed, 2000, {"ridge": 1e-8})
        predicted = predict_risks(target, kernel, 1e-8, seed, curve.n)
        large = [k for k, n in enumerate(curve.n) if n >= 700]
        ratios.append([curve.risk[k] / predicted[k] for k in large])
        assert all(abs(ratio - 1) < 0.05 for ratio in ratios[-1])
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


def test_the_law_with_a_ridge_is_what_ridge_regression_measures() -> None:
    target = Hierarchy(v=4, m=4, classes=4, L=3, judged="squared")
    kernel = Polynomial(degree=4, n_max=400, n_ratio=1.4)
    ratios = []
    for seed in range(4):
        curve = kernel.curve(target, seed, 1500, {"ridge": 0.3})
        predicted = predict_risks(target, kernel, 0.3, seed, curve.n)
        ratios.append(np.divide(curve.risk, predicted)[-4:])
    np.testing.assert_allclose(np.mean(ratios, axis=0), 1, atol=0.03)


def test_the_law_ends_where_every_string_has_been_seen() -> None:
    law = KernelLaw.of(NTK(), 3, 4, 0.0)
    (shares,) = variance_shares(FULL[0].draw([0]))
    risks = [law.risk(n, shares) for n in (10, 40, 70, 80)]
    assert risks == sorted(risks, reverse=True) and law.risk(81, shares) == 0
    assert law.samples(0.1, shares) == pytest.approx(71, rel=0.05)
    assert law.risk(law.samples(0.1, shares), shares) == pytest.approx(0.1)


def test_no_kernel_of_the_law_is_better_than_the_spectrum_itself() -> None:
    grammar = Grammar(4, 4, 4, 2, 3)
    (shares,) = variance_shares(grammar.draw([5]))
    number = multiplicities(4, 8)
    best = samples_of_the_best_kernel(shares, 4, 0.1)
    own = np.append(0.0, shares / number[1:])
    assert KernelLaw(4, own, 0.0).samples(0.1, shares) == pytest.approx(best, rel=1e-6)
    generator = np.random.default_rng(0)
    for ridge in (0.0, 1e-4):
        for kernel in (NTK(depth=2), NTK(depth=4), Polynomial(degree=8)):
            assert KernelLaw.of(kernel, 4, 8, ridge).samples(0.1, shares) > best
        for _ in range(10):
            factors = np.exp(generator.standard_normal(9))
            assert KernelLaw(4, own * factors, ridge).samples(0.1, shares) > best


@pytest.mark.parametrize("grammar", [Grammar(3, 4, 2, 2, 2), Grammar(4, 2, 2, 3, 2)], ids=str)
def test_the_class_given_a_symbol_is_that_of_all_derivations(grammar: Grammar) -> None:
    rules = grammar.draw([2])

    def derive(level: int, symbol: int) -> list[tuple[int, ...]]:
        """All strings of level 1 below a symbol, each as often as it has derivations."""
        if level == 1:
            return [(symbol,)]
        strings = []
        for code in rules.tuples[level - 1][0, symbol].tolist():
            powers = [grammar.v**i for i in reversed(range(grammar.s))]
            children = [derive(level - 1, code // power % grammar.v) for power in powers]
            strings += [sum(parts, ()) for parts in itertools.product(*children)]
        return strings

    counts: dict[tuple[int, int], np.ndarray] = defaultdict(lambda: np.zeros(grammar.classes))
    for c in range(grammar.classes):
        strings = derive(grammar.L, c)
        for string in strings:
            for place, symbol in enumerate(string):
                counts[place, symbol][c] += 1 / len(strings)
    posterior = class_given_symbol(rules)[0]
    squares = []
    for (place, symbol), count in counts.items():
        expected = count / count.sum()
        np.testing.assert_allclose(posterior[place, symbol].numpy(), expected, atol=1e-12)
        squares.append(((expected - 1 / grammar.classes) ** 2).sum())
    assert int(posterior.isfinite().all(2).sum()) == len(counts)
    scale = grammar.m * grammar.v * (1 - 1 / grammar.classes)
    assert float(signal_samples(rules)) == pytest.approx(scale / np.mean(squares))


def test_the_signal_is_near_the_law_and_absent_without_correlations() -> None:
    for grammar, low, high in (
        (Grammar(8, 8, 8, 2, 2), 1.0, 1.4),
        (Grammar(6, 6, 6, 2, 3), 1.1, 1.6),
    ):
        law = grammar.classes * grammar.m**grammar.L
        median = float((signal_samples(grammar.draw(range(20))) / law).median())
        assert low < median < high
    assert bool(signal_samples(FULL[2].draw([0, 1])).isinf().all())


def test_facts_and_theory_say_what_is_known() -> None:
    target = Hierarchy(v=3, m=3, classes=3, L=3)
    facts, theory = target.facts(), target.theory()
    assert sum(facts["order_shares"]) == pytest.approx(1) and len(facts["order_shares"]) == 8
    assert facts["P_c"] > target.classes * target.m**target.L
    assert theory["tree"].nstar == 81
    assert theory["kernel"].nstar == pytest.approx(4.6e3, rel=0.1)
    assert theory["kernel"].exponent == pytest.approx(8 * math.log(3))
    few_rules = Hierarchy(v=8, m=3, classes=8, L=3)
    assert "kernel" not in few_rules.theory() and "order_shares" not in few_rules.facts()
    assert set(Hierarchy(kind="latin").theory()) == {"kernel"}
    assert "P_c" not in Hierarchy(kind="latin").facts()
    assert not Hierarchy(zipf=1.0).theory()
    sparse = Hierarchy(v=4, m=4, L=2, sparse=1).theory()
    assert set(sparse) == {"tree"} and sparse["tree"].nstar == 4 * 64
    assert sparse["tree"].exponent == pytest.approx(1)


@pytest.mark.parametrize(
    "target, kernel, words",
    [
        (Hierarchy(v=8, m=3, classes=8), NTK(), "unless its strings are uniform"),
        (Hierarchy(zipf=1.0), NTK(), "unless its strings are uniform"),
        (Hierarchy(), RandomFeatures(), "random features (ReLU, 4096): has no kernel law"),
        (Hierarchy(L=7), NTK(), "target.L=7: must be such that d = s^L <= 64"),
    ],
)
def test_what_the_law_does_not_describe_is_refused(target, kernel, words) -> None:
    with pytest.raises(UserError) as caught:
        check_law(target, kernel)
    assert words in str(caught.value) and "\n" not in str(caught.value)
