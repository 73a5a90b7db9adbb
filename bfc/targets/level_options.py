"""The options of a composition of quadratics: k_l, alpha_l and J_l from what a user writes.

Every way to write the same target ends in the same values, hence in the same cell. What is out of
range raises :class:`bfc.errors.UserError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bfc.errors import require

Base = Literal["x", "x_squared"]
"""What level 2 acts on: x, or x^2 - 1."""
Links = Literal["chain", "skip", "dense"] | tuple[tuple[int, ...], ...]
"""J_l: chain {l-1}; skip {l-1, 0}; dense {all below}; or a list per level 2..L."""


def resolve_widths(
    d: int, L: int, factors: Sequence[int] | None, powers: Sequence[float] | None
) -> tuple[int, ...]:
    """k_2..k_L: the factors, times d^powers where there are powers; by default max(2, 6 - l)."""
    if powers is not None:
        return _grow_widths(d, L, factors, powers)
    if factors is None:
        return tuple(min(d, max(2, 6 - level)) for level in range(2, L + 1))
    return tuple(factors)


def _grow_widths(
    d: int, L: int, factors: Sequence[int] | None, powers: Sequence[float]
) -> tuple[int, ...]:
    """round(factor d^power), at least 1; factors below 1 stay, to be refused."""
    count = L - 1
    factors = factors or (1,) * count
    require(
        len(powers) == count and all(-8 <= p <= 1 for p in powers),
        "target.width_power",
        list(powers),
        f"a list of L-1 = {count} numbers from -8 to 1 (of k_2..k_{L})",
    )
    require(
        len(factors) == count,
        "target.widths",
        list(factors),
        f"a list of L-1 = {count} integers, factors of d^width_power",
    )
    widths = []
    for factor, power in zip(factors, powers, strict=True):
        widths.append(max(1, round(factor * d**power)) if factor >= 1 else factor)
    return tuple(widths)


def check_widths(L: int, widths: Sequence[int]) -> None:
    """Refuse widths that are not one per level, or below 1."""
    count = L - 1
    require(
        len(widths) == count,
        "target.widths",
        list(widths),
        f"a list of L-1 = {count} integers (k_2..k_{L})",
    )
    require(all(k >= 1 for k in widths), "target.widths", list(widths), "integers >= 1")


def resolve_alpha(L: int, alpha: Sequence[float] | None, gamma: float | None) -> tuple[float, ...]:
    """alpha_2..alpha_L: as given, or gamma^(l-2)."""
    if alpha is not None:
        return tuple(alpha)
    ratio = float("nan") if gamma is None else float(gamma)
    require(0 < ratio < float("inf"), "target.gamma", gamma, "a number > 0")
    return tuple(ratio**i for i in range(L - 1))


def check_alpha(L: int, alpha: Sequence[float]) -> None:
    """Refuse coefficients that are not one per level, or not positive and finite."""
    count = L - 1
    require(
        len(alpha) == count,
        "target.alpha",
        list(alpha),
        f"a list of L-1 = {count} numbers (alpha_2..alpha_{L})",
    )
    positive = all(0 < a < float("inf") for a in alpha)
    require(positive, "target.alpha", list(alpha), "finite numbers > 0")


def resolve_links(L: int, base: Base, links: Links) -> Links:
    """J_2..J_L, lists of sources sorted; refuses a level that does not read the one below it."""
    if isinstance(links, str):
        return links
    resolved = tuple(tuple(sorted(set(sources))) for sources in links)
    count = L - 1
    lists = [list(sources) for sources in resolved]
    require(len(resolved) == count, "target.links", lists, f"a list of L-1 = {count} lists")
    for level, sources in zip(range(2, L + 1), resolved, strict=True):
        previous = level_below(level, base)
        allowed = {0, 1, *range(2, level)}
        require(
            previous in sources and set(sources) <= allowed,
            "target.links",
            lists,
            f"such that level {level} reads {previous} and only levels from {sorted(allowed)}",
        )
    return resolved


def level_below(level: int, base: Base) -> int:
    """The level right below ``level``: what level 2 acts on is level 0 (x) or 1 (x^2 - 1)."""
    if level > 2:
        return level - 1
    return 0 if base == "x" else 1


def sources_of(level: int, base: Base, links: Links) -> set[int]:
    """J_l as a set."""
    if not isinstance(links, str):
        return set(links[level - 2])
    previous = level_below(level, base)
    if links == "chain":
        return {previous}
    if links == "skip":
        return {previous, 0}
    sources = {0, previous, *range(2, level)}
    return sources | {1} if base == "x_squared" else sources
