"""Many studies within one budget of wall time: which size of each to run next. The choice follows
from predicted cost alone, never from what the results say, so that no claim is helped by stopping
when it looks good. Predictions (:mod:`bfc.experiment.cost`) are uncertain by a factor of several
before a study has run here, so every study begins with its smallest size, which corrects its own
predictions."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bfc.errors import UserError
from bfc.experiment import cost
from bfc.launch.job import Planned, pack
from bfc.studies import SIZES

MARGIN = 0.85
"""Share of the remaining time that predictions may fill: confirming runs and the scatter of costs
take the rest."""


@dataclass(frozen=True)
class Option:
    """One size of one study: its jobs, and the predicted wall seconds of those that are not stored."""

    study: str
    size: str
    jobs: int
    left: int
    seconds: float


def budget_seconds(text: str) -> float:
    """``30m``, ``4h`` or ``full`` (no limit) as seconds; any number of minutes or hours will do.
    Raises :class:`UserError`."""
    if text == "full":
        return float("inf")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mh])", text)
    if found is None or float(found[1]) <= 0:
        raise UserError(f"--budget {text}: must be full, or minutes or hours such as 30m or 4h")
    return float(found[1]) * {"m": 60, "h": 3600}[found[2]]


def largest_size(budget: str) -> int:
    """The number in :data:`SIZES` of the largest size that is looked at: the one named like the
    budget, else the smallest that is named after at least as much time, since composing the
    thousands of jobs of a size that cannot fit takes minutes."""
    if budget in SIZES:
        return SIZES.index(budget)
    return next(
        (
            i
            for i, size in enumerate(SIZES)
            if size not in ("demo", "full") and budget_seconds(size) >= budget_seconds(budget)
        ),
        len(SIZES) - 1,
    )


@dataclass
class Pace:
    """Measured over predicted wall time of the studies that have run; a study that has not is
    expected to be as wrong as the median."""

    ratios: dict[str, float] = field(default_factory=dict)

    def note(self, study: str, predicted: float, measured: float) -> None:
        self.ratios[study] = measured / predicted

    def of(self, study: str) -> float:
        return self.ratios.get(
            study, statistics.median(self.ratios.values()) if self.ratios else 1.0
        )


def predict(study: str, size: str, jobs: Sequence[Planned], cores: int, model: cost.Cost) -> Option:
    """What is left of a size, by ``model``, on so many cores."""
    from bfc.experiment.stored_cell import is_stored

    left = [each for each in jobs if not all(is_stored(spec, each.job) for spec in each.cells)]
    seconds = {number: model.seconds(each.job, each.cells) for number, each in enumerate(left)}
    packs = pack(
        [[number] for number in seconds],
        seconds,
        max(1.0, sum(seconds.values()) / cores),
        most_packs=cores,
    )
    wall = (
        max((sum(seconds[number] for number in numbers) for numbers in packs), default=-cost.START)
        + cost.START
    )
    return Option(study, size, len(jobs), len(left), wall)


def choose(options: Mapping[str, Sequence[Option]], seconds: float) -> dict[str, Option]:
    """Study → the size of it to aim for within ``seconds``. ``options``: study → its sizes not
    smaller than what it has, small to large. First every study, the cheapest first, gets its
    smallest size while time suffices; then sizes are raised, the cheapest step first. A study that
    does not fit at all is left out."""
    room, chosen = seconds * MARGIN, {}
    for own in sorted(options.values(), key=lambda own: own[0].seconds):
        if own and own[0].seconds <= room:
            chosen[own[0].study] = own[0]
            room -= own[0].seconds
    while True:
        steps = [
            (own[place + 1].seconds - own[place].seconds, own[place + 1])
            for own in options.values()
            if own and own[0].study in chosen
            for place in [own.index(chosen[own[0].study])]
            if place + 1 < len(own)
        ]
        price, option = min(steps, key=lambda step: step[0], default=(float("inf"), None))
        if option is None or price > room:
            return chosen
        chosen[option.study] = option
        room -= price


def next_step(
    options: Mapping[str, Sequence[Option]], reached: Mapping[str, str], seconds: float
) -> Option | None:
    """What to run now, None where nothing fits in ``seconds``: the smallest size of a study that
    has not run yet, else the size aimed for; the cheapest of these."""
    chosen = choose(options, seconds)
    fresh = [options[study][0] for study in chosen if study not in reached]
    wanted = fresh or [option for study, option in chosen.items() if reached[study] != option.size]
    return min(wanted, key=lambda option: option.seconds, default=None)
