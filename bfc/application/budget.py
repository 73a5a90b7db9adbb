"""Many studies within one budget of wall time: which size of each to run next.

The choice follows from predicted cost alone, never from what the results say, so that no claim is
helped by stopping when it looks good. Before a study has run here, predictions
(:mod:`bfc.experiment.cost`) are uncertain by a factor of several. So every study begins with its
smallest size, whose measured time corrects its other predictions.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bfc.errors import UserError
from bfc.experiment import cost
from bfc.experiment.stored_cell import is_stored
from bfc.launch.bin_packing import pack_into_bins
from bfc.launch.job import PlannedJob
from bfc.studies import SIZES

MARGIN = 0.85
"""Share of the remaining time that predictions may fill.

The rest is for confirming runs and for the scatter of costs."""
UNLIMITED = "full"
"""The budget without a limit, named like the size that it pays for."""
UNIT_SECONDS = {"m": 60, "h": 3600}


@dataclass(frozen=True)
class SizeOption:
    """One size of one study, with its predicted cost."""

    study: str
    size: str
    jobs: int
    unfinished_jobs: int
    """Jobs with a cell that is not stored."""
    seconds: float
    """Predicted wall time of the unfinished jobs."""


Options = Mapping[str, Sequence[SizeOption]]
"""Study → its sizes that are not smaller than what it has run, small to large."""


@dataclass
class Pace:
    """How much slower studies run than predicted."""

    ratios: dict[str, float] = field(default_factory=dict)
    """Study → measured over predicted wall time, of its last run."""

    def record(self, study: str, predicted: float, measured: float) -> None:
        """Note the wall time of a study that has run."""
        self.ratios[study] = measured / predicted

    def ratio(self, study: str) -> float:
        """Measured over predicted time; the median of the others for a study that has not run."""
        if study in self.ratios:
            return self.ratios[study]
        return statistics.median(self.ratios.values()) if self.ratios else 1.0

    def correct(self, option: SizeOption) -> SizeOption:
        """The option with its prediction corrected."""
        return replace(option, seconds=option.seconds * self.ratio(option.study))


def budget_seconds(text: str) -> float:
    """The seconds of a budget such as ``30m`` or ``4h``; infinite for ``full``.

    Any number of minutes or hours will do. Raises :class:`UserError` for anything else.
    """
    if text == UNLIMITED:
        return math.inf
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mh])", text)
    if match is None or float(match[1]) <= 0:
        raise UserError(f"--budget {text}: must be full, or minutes or hours such as 30m or 4h")
    return float(match[1]) * UNIT_SECONDS[match[2]]


def largest_size_index(budget: str) -> int:
    """The place in :data:`SIZES` of the largest size that is considered.

    That is the size named like the budget, else the smallest one named after at least as much time:
    composing the thousands of jobs of a size that cannot fit takes minutes.
    """
    if budget in SIZES:
        return SIZES.index(budget)
    for place, size in enumerate(SIZES):
        is_duration = size not in ("demo", UNLIMITED)
        if is_duration and budget_seconds(size) >= budget_seconds(budget):
            return place
    return len(SIZES) - 1


def predict_option(
    study: str, size: str, jobs: Sequence[PlannedJob], cores: int, model: cost.Cost
) -> SizeOption:
    """What is left to run of a size on ``cores`` processes, and how long that takes."""
    unfinished = [job for job in jobs if not _is_finished(job)]
    seconds = {place: model.seconds(job.job, job.cells) for place, job in enumerate(unfinished)}
    seconds_per_core = max(1.0, sum(seconds.values()) / cores)
    groups = [[place] for place in seconds]
    bins = pack_into_bins(groups, seconds, seconds_per_core, max_bins=cores)
    wall_time = 0.0
    if bins:
        wall_time = cost.START + max(sum(seconds[place] for place in places) for places in bins)
    return SizeOption(study, size, len(jobs), len(unfinished), wall_time)


def _is_finished(job: PlannedJob) -> bool:
    return all(is_stored(spec, job.job) for spec in job.cells)


def choose_sizes(options: Options, seconds: float) -> dict[str, SizeOption]:
    """Study → the size of it to aim for within ``seconds``.

    First every study, the cheapest first, gets its smallest size while time suffices; then sizes
    are raised, the cheapest step first. A study that does not fit at all is left out.
    """
    chosen, seconds_left = _choose_smallest_sizes(options, seconds * MARGIN)
    while True:
        step = min(_list_raises(options, chosen), key=_raise_seconds, default=None)
        if step is None or _raise_seconds(step) > seconds_left:
            return chosen
        seconds_left -= _raise_seconds(step)
        _, larger = step
        chosen[larger.study] = larger


def _choose_smallest_sizes(options: Options, seconds: float) -> tuple[dict[str, SizeOption], float]:
    """The smallest sizes that fit together, the cheapest first, and the seconds that are left."""
    chosen: dict[str, SizeOption] = {}
    smallest = [sizes[0] for sizes in options.values() if sizes]
    for option in sorted(smallest, key=lambda option: option.seconds):
        if option.seconds <= seconds:
            chosen[option.study] = option
            seconds -= option.seconds
    return chosen, seconds


def _list_raises(
    options: Options, chosen: Mapping[str, SizeOption]
) -> list[tuple[SizeOption, SizeOption]]:
    """For every chosen study its chosen size and the next larger one, where there is one."""
    raises = []
    for study, sizes in options.items():
        if study not in chosen:
            continue
        place = sizes.index(chosen[study])
        if place + 1 < len(sizes):
            raises.append((sizes[place], sizes[place + 1]))
    return raises


def _raise_seconds(step: tuple[SizeOption, SizeOption]) -> float:
    """What the larger size costs more than the smaller one."""
    smaller, larger = step
    return larger.seconds - smaller.seconds


def choose_next(options: Options, reached: Mapping[str, str], seconds: float) -> SizeOption | None:
    """What to run now; None where nothing fits in ``seconds``.

    ``reached`` holds the size that each study has run. The smallest size of a study that has not
    run yet goes first, then the sizes aimed for; the cheapest of these.
    """
    chosen = choose_sizes(options, seconds)
    first_sizes = [options[study][0] for study in chosen if study not in reached]
    candidates = first_sizes or _unreached(chosen.values(), reached)
    return min(candidates, key=lambda option: option.seconds, default=None)


def _unreached(options: Iterable[SizeOption], reached: Mapping[str, str]) -> list[SizeOption]:
    return [option for option in options if reached[option.study] != option.size]
