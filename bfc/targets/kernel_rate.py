"""How many samples rotation-invariant kernels need for a target whose variance is of high degree.

Such a kernel learns degree by degree (Mei, Misiakiewicz & Montanari 2021): the part of degree k
needs about as many samples as there are harmonics of that degree, C(d, k) ~ d^k.
"""

from __future__ import annotations

from bfc.types import Theory


def kernel_rate(degree: int) -> Theory:
    """The scaling of n* with d for kernels on a target of this degree."""
    source = "C(d, k) harmonics of degree k (Mei, Misiakiewicz & Montanari 2021)"
    return Theory(float(degree), "rate", source, status="theorem")
