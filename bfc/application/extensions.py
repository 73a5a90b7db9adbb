"""By how many seeds the cells of an undecided claim may grow, and what is most worth a look.

A claim has few looks, and at one of them its data grow to at most four times what they were, since
the interval that judges is calibrated for that (:mod:`bfc.stats.worst_policy`). So a claim that
needs sixteen times its seeds gets them in two looks, and it is worth beginning where the two
together are likely to decide it, though the first alone is not.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from analysis.prospects import FIRST_INTERVAL_SEEDS, Prospect, Stock
from bfc.stats.looks import GROWTHS, LARGEST_GROWTH

GOALS = (*GROWTHS, 6.0, 9.0, 16.0)
"""How many times its seeds a claim may be given in all, over as many looks as that takes."""
BALANCE = 4.0
"""A cell of a place that has this many times the seeds that the others are to have stays as it is:
its share of the error is small."""
LEAST_SECONDS = 1e-6
"""Taken for the seconds of a seed where none were noted, so that costs can be compared."""


@dataclass(frozen=True)
class Extension:
    """More seeds for some cells of a claim."""

    seeds: Mapping[str, int]
    """Cell id → the seeds that it is to have at the next look; cells that stay are left out."""
    growths: Mapping[str, float]
    """Cell id → how many times the data of its places that is."""
    chance: float
    """That the claim is decided at this look or the later ones that are counted on."""
    later_seconds: float
    """Of one core, for the later ones."""


def rank_extensions(
    prospect: Prospect, stock: Mapping[str, Stock], looks_left: int, look_seconds: float = 0.0
) -> list[Extension]:
    """The extensions of the open cells of a claim, by the chance of a decision for the cost.

    In all of them, or in those of the place that would decide the claim alone. A look is taken to
    cost as much as all that these cells have cost so far
    (:func:`bfc.stats.looks.choose_growth`), and no less than ``look_seconds``: where seeds are
    cheap, looks are what is scarce.
    """
    spent = {
        cell: stock[cell].seeds * max(LEAST_SECONDS, stock[cell].seconds_per_seed)
        for cell in prospect.cells
    }
    look_cost = max(sum(spent.values()), look_seconds)
    ranked: list[tuple[float, Extension]] = []
    for goal in _list_goals(prospect):
        if goal.num_looks <= max(1, looks_left):
            extension, seconds = _plan(prospect, stock, goal)
            cost = goal.num_looks * look_cost + seconds
            ranked.append((extension.chance / cost, extension))
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    return [extension for _, extension in ranked]


@dataclass(frozen=True)
class _Goal:
    """Cells, and how many times their seeds they are to have at the next look and in the end."""

    cells: Collection[str]
    step: float
    factor: float

    @property
    def num_looks(self) -> int:
        return 1 + math.ceil(math.log(self.factor / self.step, LARGEST_GROWTH) - 1e-9)


def _list_goals(prospect: Prospect) -> Iterator[_Goal]:
    lacks_interval = any(math.isnan(part.distance) for part in prospect.parts)
    for cells in (prospect.cells, prospect.find_decisive_cells()):
        if not cells:
            continue
        for factor in GOALS:
            yield _Goal(cells, min(factor, LARGEST_GROWTH), factor)
        if lacks_interval and prospect.seeds:
            factor = max(min(GROWTHS), FIRST_INTERVAL_SEEDS / prospect.seeds)
            yield _Goal(cells, factor, factor)


def _plan(prospect: Prospect, stock: Mapping[str, Stock], goal: _Goal) -> tuple[Extension, float]:
    """The extension towards a goal, and the seconds of all its looks."""
    now = _list_seeds(prospect, stock, goal.cells, goal.step)
    in_the_end = _list_seeds(prospect, stock, goal.cells, goal.factor)
    seconds = _sum_seconds(in_the_end, stock)
    chance = prospect.estimate_chance(_list_growths(in_the_end, stock, goal.factor))
    extension = Extension(
        {cell: count for cell, count in now.items() if count > stock[cell].seeds},
        _list_growths(now, stock, goal.step),
        chance,
        later_seconds=seconds - _sum_seconds(now, stock),
    )
    return extension, seconds


def _list_seeds(
    prospect: Prospect, stock: Mapping[str, Stock], cells: Collection[str], factor: float
) -> dict[str, int]:
    """The seeds of every cell once those of its places are multiplied.

    What a cell has more than its place needs is not multiplied: beyond :data:`BALANCE` times the
    goal of the cell with the fewest, it stays.
    """
    seeds: dict[str, int] = {}
    for part in prospect.parts:
        fewest = min((stock[cell].seeds for cell in part.cells), default=0)
        for cell in part.cells.intersection(cells):
            multiplied = math.ceil(factor * stock[cell].seeds - 1e-9)
            needed = math.ceil(BALANCE * factor * fewest)
            goal = max(stock[cell].seeds, min(multiplied, needed))
            seeds[cell] = max(goal, seeds.get(cell, 0))
    return dict(sorted(seeds.items()))


def _list_growths(
    seeds: Mapping[str, int], stock: Mapping[str, Stock], factor: float
) -> dict[str, float]:
    """How many times the data a cell gives its places: one that has enough counts as the others."""
    return {cell: max(factor, count / stock[cell].seeds) for cell, count in seeds.items()}


def _sum_seconds(seeds: Mapping[str, int], stock: Mapping[str, Stock]) -> float:
    return sum(
        (count - stock[cell].seeds) * stock[cell].seconds_per_seed for cell, count in seeds.items()
    )
