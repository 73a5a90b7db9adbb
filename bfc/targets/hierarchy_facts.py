"""What follows from the keys of a hierarchy alone, as typical values over random rules.

Spectrum and signal are exact for given rules, and rules are redrawn for every seed; what a stored
configuration shows, and what theory predicts before anything is measured, is typical of eight
draws.
"""

from __future__ import annotations

import math
import statistics
from functools import lru_cache

import numpy as np

from bfc.targets.order_spectrum import Array, samples_of_the_best_kernel, variance_shares
from bfc.targets.rule_tables import Grammar
from bfc.targets.tuple_signal import signal_samples
from bfc.types import Theory

TYPICAL_SEEDS = tuple(range(-8, 0))
"""Seeds of the typical rules; none of them is measured."""
MAX_SIZE = 1 << 20
"""Numbers of an intermediate result from which a fact is left out."""
KERNEL_EPS = 0.1
"""MSE over variance of the theory of kernels."""


@lru_cache(maxsize=256)
def typical_shares(grammar: Grammar) -> Array | None:
    """The share of the variance in every order under typical rules, (8, d).

    None where strings are not uniform, or it would take too much memory.
    """
    degree = grammar.s**grammar.L
    size = (degree + 1) * grammar.v ** (grammar.s + 1)
    if not grammar.uses_all_tuples or grammar.sparse or size > MAX_SIZE:
        return None
    return np.concatenate([variance_shares(grammar.draw([seed])) for seed in TYPICAL_SEEDS])


@lru_cache(maxsize=256)
def typical_signal(grammar: Grammar) -> float | None:
    """The median P_c of typical rules; None without correlations, or where it is too large."""
    size = grammar.s ** (grammar.L - 1) * grammar.v * grammar.classes
    if grammar.sparse or size > MAX_SIZE:
        return None
    median = float(signal_samples(grammar.draw(TYPICAL_SEEDS)).median())
    return median if math.isfinite(median) else None


def tree_theory(grammar: Grammar) -> Theory | None:
    """n* of networks with the structure of the grammar; None without correlations to learn from.

    Of sparse strings that of shared weights, whose square of s_0 + 1 their authors do not explain;
    it is stated for symbols with cells of their own.
    """
    if grammar.kind == "latin" or grammar.m == 1 or grammar.placement == "free":
        return None
    cells = grammar.sparse + 1
    source = "n_c m^L = n_c d^(ln m/ln s) (Cagnetta et al., PRX 14, 031001)"
    if grammar.sparse:
        source = "(s_0+1)^2 n_c m^L with shared weights (arXiv:2404.10727; only its abstract read)"
    return Theory(
        math.log(grammar.m) / math.log(grammar.s * cells),
        "rate",
        source,
        float(cells**2 * grammar.classes * grammar.m**grammar.L),
        "heuristic",
    )


def kernel_theory(grammar: Grammar) -> Theory | None:
    """n* of the best kernel of the number of agreeing symbols; None where it is not known."""
    shares = typical_shares(grammar)
    if shares is None:
        return None
    samples = [samples_of_the_best_kernel(row, grammar.v, KERNEL_EPS) for row in shares]
    return Theory(
        shares.shape[1] * math.log(grammar.v),
        "lower",
        f"~v^d for every kernel of the number of agreeing symbols, MSE {KERNEL_EPS:g} "
        "(bfc.bounds.kernel_law); the exponent is the slope at this d",
        statistics.median(samples),
        "heuristic",
    )
