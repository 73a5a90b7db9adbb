"""The lower bound on kernels for compositions of quadratics, stated only where it says something.

Allen-Zhu & Li (arXiv:2001.04413, lower bounds; recalled, not checked against the text): for some
target of the class, no kernel method with N ≤ C(d, q)/1000 samples has an error below α_L²/100.
The bound is about small risks, α_L²/(100 Var f*), and at the dimensions of a small machine it is
vacuous: C(16, 4)/1000 = 1.8 samples.
"""

from __future__ import annotations

import math


def kernel_bound(d: int, q: int) -> float | None:
    """Samples that a kernel needs for a target of order q: C(d, q)/1000, or None if at most d.

    Fewer samples than coordinates are too few for any method. For q see
    :attr:`bfc.targets.quadratic_densenet.QuadraticDenseNet.kernel_order`.
    """
    n = math.comb(d, q) / 1000
    return n if n > d else None
