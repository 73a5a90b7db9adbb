"""Random streams: pure functions of (seed, role, index) that pass for independent numbers."""

from __future__ import annotations

import itertools

import pytest
import scipy.stats
import torch

from bfc import random

SEEDS = (0, 1, 2, -1, -7, 2**31, 2**62 + 5, -(2**70) + 3)
N = 1_000_000
WORD = (1 << 64) - 1


def _unmix(word: int) -> int:
    """Inverse of the finaliser in ``random.bits``, to find the index that gives a word."""

    def unshift(z: int, by: int) -> int:
        x = z
        for _ in range(64 // by):
            x = z ^ (x >> by)
        return x

    word = unshift(word, 31) * pow(0x94D049BB133111EB, -1, 1 << 64) & WORD
    word = unshift(word, 27) * pow(0xBF58476D1CE4E5B9, -1, 1 << 64) & WORD
    return unshift(word, 30)


def _index_of(word: int, key: torch.Tensor) -> torch.Tensor:
    index = (_unmix(word) - int(key)) * pow(0x9E3779B97F4A7C15, -1, 1 << 64) & WORD
    return torch.tensor([index - (1 << 64) if index >> 63 else index])


def test_bits_are_splitmix64():
    """The first outputs of SplitMix64 from state 1234567, as its reference implementation has."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    words = random.bits(torch.tensor([1234567]), torch.arange(1, 6))
    assert [int(word) & WORD for word in words] == expected


@pytest.mark.parametrize("width", [1, 2, 3, 7, 16])
def test_a_row_depends_on_seed_role_and_number_only(width):
    key = random.keys(SEEDS, "role")
    rows = torch.arange(40).expand(len(SEEDS), -1)
    whole = random.normal_rows(key, rows, width)
    assert whole.shape == (len(SEEDS), 40, width)
    for i, seed in enumerate(SEEDS):
        seed_key = random.keys([seed], "role")
        shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(i))
        with_gap_and_repetition = torch.tensor([3, 39, 3])
        prefix = torch.arange(7)
        for index in (shuffled, with_gap_and_repetition, prefix):
            part = random.normal_rows(seed_key, index[None], width)[0]
            assert torch.equal(part, whole[i, index])
    permuted = random.normal_rows(random.keys(SEEDS[::-1], "role"), rows, width)
    assert torch.equal(permuted, whole.flip(0))


@pytest.mark.parametrize("width", [1, 2, 7])
@pytest.mark.parametrize("words", [1, 8, 50])
def test_rows_are_the_same_however_many_are_drawn_at_a_time(monkeypatch, width, words):
    key = random.keys(SEEDS[:2], "role")
    rows = torch.arange(3, 16).unsqueeze(0)
    whole = random.normal_rows(key, rows, width)
    monkeypatch.setattr(random, "CPU_WORDS", words)
    assert torch.equal(random.normal_rows(key, rows, width), whole)
    assert random.normal_rows(key, rows[:, :0], width).shape == (2, 0, width)


def test_normal_is_one_realisation_per_seed():
    whole = random.normal(SEEDS, "w", (3, 5))
    assert whole.shape == (len(SEEDS), 3, 5)
    for i, seed in enumerate(SEEDS):
        assert torch.equal(random.normal([seed], "w", (3, 5))[0], whole[i])


def test_seeds_and_roles_give_distinct_keys():
    seeds = [*range(-500, 500), *(2**k for k in range(10, 63)), *(-(2**k) for k in range(10, 63))]
    roles = [
        "ab",
        "ba",
        "aa",
        "aaa",
        "inputs/train",
        "inputs/test",
        "init/K2_0",
        "init/K20_",
        "batch",
    ]
    keys = torch.cat([random.keys(seeds, role) for role in roles])
    assert len(keys.unique()) == len(seeds) * len(roles)


@pytest.mark.parametrize("seed", [0, -1, 2**62 + 5])
@pytest.mark.parametrize("width", [1, 3, 16])
def test_rows_are_standard_normal(seed, width):
    x = random.normal_rows(
        random.keys([seed], "law"), torch.arange(N // width)[None], width, torch.float64
    )[0].flatten()
    n = len(x)
    for power, mean, variance in (
        (1, 0, 1),
        (2, 1, 2),
        (3, 0, 15),
        (4, 3, 96),
        (6, 15, 10395 - 225),
    ):
        assert abs(float((x**power).mean()) - mean) < 5 * (variance / n) ** 0.5, power
    assert scipy.stats.kstest(x.numpy(), "norm").pvalue > 1e-4
    assert float(x.abs().max()) > 3.5


def test_everything_that_should_be_independent_is_uncorrelated():
    """Rows, columns (both halves of a Box-Muller pair), seeds and roles; values and squares."""
    rows = torch.arange(20_000)
    variables = [
        random.normal_rows(random.keys([seed], role), rows[None], 4, torch.float64)[0].T
        for seed, role in itertools.product((0, 1, -1), ("inputs/train", "inputs/test"))
    ]
    shifted = [variables[0].roll(by, 1) for by in (1, 2, 64)]
    x = torch.cat([*variables, *shifted])
    correlation = (
        torch.corrcoef(torch.cat([x, x.square()]))
        .unflatten(0, (2, -1))
        .unflatten(2, (2, -1))
        .transpose(1, 2)
    )
    itself = torch.eye(len(x), dtype=torch.bool)
    assert float(correlation[:, :, ~itself].abs().max()) < 5.5 / len(rows) ** 0.5


def test_single_precision_agrees_with_double():
    key, rows = random.keys([0, 5], "precision"), torch.arange(50_000).expand(2, -1)
    single, double = (
        random.normal_rows(key, rows, 5, dtype) for dtype in (torch.float32, torch.float64)
    )
    assert single.dtype == torch.float32 and double.dtype == torch.float64
    gap = (single - double).abs()
    assert float(gap.max()) < 5e-4 and float(gap.mean()) < 1e-6


@pytest.mark.parametrize("high", [1, 2, 3, 10, 1000, 2**31 - 1])
def test_integers_are_uniform_and_in_range(high):
    key = random.keys([3, 4], "batch").unsqueeze(1)
    drawn = random.integers(
        key, torch.arange(100_000).expand(2, -1), torch.tensor([[high], [high]])
    )
    assert int(drawn.min()) >= 0 and int(drawn.max()) < high
    words = random.bits(key, torch.arange(50).expand(2, -1))
    assert drawn[:, :50].tolist() == [
        [((word & WORD) >> 32) * high >> 32 for word in row] for row in words.tolist()
    ]
    cells = min(high, 10)
    counts = torch.stack([torch.bincount(row * cells // high, minlength=cells) for row in drawn])
    assert counts.shape == (2, cells)
    if high > 1:
        assert scipy.stats.chisquare(counts[0].numpy()).pvalue > 1e-4
        assert not torch.equal(drawn[0], drawn[1])


def test_every_replica_has_its_own_range():
    high = torch.tensor([[5], [7000]])
    drawn = random.integers(
        random.keys([0, 0], "batch").unsqueeze(1), torch.arange(10_000).expand(2, -1), high
    )
    assert drawn.max(1).values.tolist() == [4, 6999]
    key = random.keys([0], "batch").unsqueeze(1)
    single = random.integers(key, torch.arange(10_000)[None], high[:1])
    assert torch.equal(single[0], drawn[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "word", [0, WORD, WORD << 32 & WORD, 0xFFFFFFFF, 1 << 63, 0x7FFFFFFF << 32]
)
def test_extreme_words(word, dtype):
    """The smallest and largest words give uniforms in (0, 1), finite normals, integers in range."""
    key = random.keys([9], "edge")
    index = _index_of(word, key)
    assert int(random.bits(key, index)) & WORD == word
    assert 0 < float(random.uniform(key, index, dtype)) < 1
    row = random.normal_rows(key, index[None], 2, dtype)
    assert bool(row.isfinite().all()) and float(row.abs().max()) < 7
    assert 0 <= int(random.integers(key, index, torch.tensor([1000]))) < 1000


def test_uniform_is_uniform():
    u = random.uniform(random.keys([0], "u"), torch.arange(N), torch.float64)
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-4
