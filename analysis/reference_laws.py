"""Named laws n(d) that n* is compared with.

Where a law of a paper or a count of dimensions is sharper than a power of d.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from bfc.errors import UserError, nearest
from bfc.targets.harmonics import dimension

Law = Callable[[int, int], float]
"""(d, degree of the target) → n."""


def _count_up_to_degree(d: int, degree: int) -> float:
    return float(sum(dimension("sphere", d, k) for k in range(degree + 1)))


LAWS: Mapping[str, Law] = {
    "harmonics": _count_up_to_degree,
    "top harmonics": lambda d, degree: float(dimension("sphere", d, degree)),
    "d^2 ln d": lambda d, degree: d * d * math.log(d),
    "d^1.5": lambda d, degree: d**1.5,
    "P2": lambda d, degree: (d + 1) * (d + 2) / 2 - 1,
}
"""``harmonics``: N_{≤p}, the dimension of polynomials of the target's degree p on the sphere.

``top harmonics``: N_p; ``P2``: the dimension of degree ≤ 2, about d²/2.
"""


def get_law(name: str) -> Law:
    """The law of this name; raises :class:`UserError` for an unknown one."""
    if name not in LAWS:
        raise UserError(f"law={name}: no such law; {nearest(name, LAWS)}")
    return LAWS[name]
