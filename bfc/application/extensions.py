"""By how many seeds the cells of an undecided claim may grow, and what is most worth a look.

A claim has few looks, and at one of them its data grow to at most four times what they were, since
the interval that judges is calibrated for that (:mod:`bfc.stats.worst_policy`). So a claim that
needs sixteen times its seeds gets them in two looks, and it is worth beginning where the two
together are likely to decide it, though the first alone is not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from analysis.prospects import FIRST_INTERVAL_SEEDS, Prospect, Stock
from bfc.stats.looks import GROWTHS, LARGEST_GROWTH

GOALS = (*GROWTHS, 6.0, 9.0, 16.0)
"""How many times its seeds a claim may be given in all, over as many looks as that takes."""
BALANCES = (1.0, 4.0)
"""A cell of a place stays as it is where it has this many times the seeds that the one with the
fewest is to have: its share of the error is the smaller one."""
LEAST_SECONDS = 1e-6
"""Taken for the seconds of a seed where none were noted, so that costs can be compared."""


@dataclass(frozen=True)
class Extension:
    """More seeds for some cells of a claim."""

    seeds: Mapping[str, int]
    """Cell id → the seeds that it is to have at the next look; cells that stay are left out."""
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
    for goal in _list_goals(prospect, stock):
        if goal.num_looks <= max(1, looks_left):
            extension, seconds = _plan(prospect, stock, goal)
            cost = goal.num_looks * look_cost + seconds
            ranked.append((extension.chance / cost, extension))
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    return [extension for _, extension in ranked]


def estimate_growths(
    prospect: Prospect, stock: Mapping[str, Stock], seeds: Mapping[str, int]
) -> dict[str, float]:
    """Cell id → how many times its data each place of a claim has once cells have these ``seeds``.

    A place with one value per seed has as many values as the cell with the fewest seeds; of any
    other the squared standard error is taken to be the sum of one over the seeds of its cells. A
    cell of several places counts for the one that gains least.
    """
    growths: dict[str, float] = {}
    for part in prospect.parts:
        if not part.cells <= stock.keys():
            continue
        now = [stock[cell].seeds for cell in part.cells]
        later = [max(stock[cell].seeds, seeds.get(cell, 0)) for cell in part.cells]
        if part.is_paired:
            growth = min(later) / min(now)
        else:
            growth = sum(1.0 / count for count in now) / sum(1.0 / count for count in later)
        for cell in part.cells:
            growths[cell] = min(growth, growths.get(cell, math.inf))
    return growths


@dataclass(frozen=True)
class _Goal:
    """Cells, and how many times their seeds they are to have at the next look and in the end."""

    cells: Collection[str]
    step: float
    factor: float
    balance: float

    @property
    def num_looks(self) -> int:
        return 1 + math.ceil(math.log(self.factor / self.step, LARGEST_GROWTH) - 1e-9)


def _list_goals(prospect: Prospect, stock: Mapping[str, Stock]) -> Iterator[_Goal]:
    lacks_interval = any(math.isnan(part.distance) for part in prospect.parts)
    is_uneven = any(
        not part.is_paired and len({stock[cell].seeds for cell in part.cells}) > 1
        for part in prospect.parts
    )
    balances = BALANCES if is_uneven else BALANCES[:1]
    for cells in (prospect.cells, prospect.find_decisive_cells()):
        if not cells:
            continue
        for factor, balance in itertools.product(GOALS, balances):
            yield _Goal(cells, min(factor, LARGEST_GROWTH), factor, balance)
        if lacks_interval and prospect.seeds:
            factor = max(min(GROWTHS), FIRST_INTERVAL_SEEDS / prospect.seeds)
            yield _Goal(cells, factor, factor, BALANCES[0])


def _plan(prospect: Prospect, stock: Mapping[str, Stock], goal: _Goal) -> tuple[Extension, float]:
    """The extension towards a goal, and the seconds of all its looks."""
    now = _list_seeds(prospect, stock, goal, goal.step)
    in_the_end = _list_seeds(prospect, stock, goal, goal.factor)
    seconds = _sum_seconds(in_the_end, stock)
    chance = prospect.estimate_chance(estimate_growths(prospect, stock, in_the_end))
    extension = Extension(
        {cell: count for cell, count in now.items() if count > stock[cell].seeds},
        chance,
        later_seconds=seconds - _sum_seconds(now, stock),
    )
    return extension, seconds


def _list_seeds(
    prospect: Prospect, stock: Mapping[str, Stock], goal: _Goal, factor: float
) -> dict[str, int]:
    """The seeds of every cell once those of its places are multiplied.

    What a cell has more than its place needs is not multiplied: beyond the balance of the goal
    times what the cell with the fewest seeds gets, it stays, and where a value takes a seed of all
    cells, beyond just as many.
    """
    seeds: dict[str, int] = {}
    for part in prospect.parts:
        fewest = min((stock[cell].seeds for cell in part.cells), default=0)
        balance = 1.0 if part.is_paired else goal.balance
        needed = math.ceil(balance * factor * fewest - 1e-9)
        for cell in part.cells.intersection(goal.cells):
            multiplied = math.ceil(factor * stock[cell].seeds - 1e-9)
            count = max(stock[cell].seeds, min(multiplied, needed))
            seeds[cell] = max(count, seeds.get(cell, 0))
    return dict(sorted(seeds.items()))


def _sum_seconds(seeds: Mapping[str, int], stock: Mapping[str, Stock]) -> float:
    return sum(
        (count - stock[cell].seeds) * stock[cell].seconds_per_seed for cell, count in seeds.items()
    )
