"""The words of the table: what stands in an entry, for the page, the terminal and papers."""

from __future__ import annotations

import math

from analysis.field_table.entries import Agreement, Entry, EntryStatus
from analysis.field_table.features import FeatureNStar
from analysis.field_table.requests import ColumnRequest, RowRequest
from bfc.durations import format_duration
from bfc.stats.nstar import Censored, NStar
from bfc.types import Theory

MARKS = {
    Agreement.COMPATIBLE: "=",
    Agreement.ABOVE: "↑",
    Agreement.BELOW: "↓",
    Agreement.NONE: "",
}
"""What follows an exponent: how it stands to theory."""
INCOMPLETE = " …"
"""What follows where some cells of an entry are not measured yet."""


def describe_value(entry: Entry) -> str:
    """What stands in the entry first: the exponent, or what was seen instead.

    An entry whose cells are not all stored ends in :data:`INCOMPLETE`.
    """
    return _describe_status(entry) + (INCOMPLETE if entry.is_incomplete else "")


def _describe_status(entry: Entry) -> str:
    if entry.status is EntryStatus.EXPONENT and entry.fit is not None:
        return f"{entry.fit.exponent:.2f}"
    if entry.status in (EntryStatus.MORE_THAN, EntryStatus.LESS_THAN, EntryStatus.NO_EXPONENT):
        return format_nstar(entry.reference) or entry.status.value
    return entry.status.value


def describe_interval(entry: Entry) -> str:
    """The interval of the exponent."""
    if entry.fit is None or entry.status is not EntryStatus.EXPONENT:
        return ""
    return f"[{entry.fit.lo:.2f}, {entry.fit.hi:.2f}]"


def describe_absence(entry: Entry) -> str:
    """Why an entry holds no measurement, in a few words; empty where it holds one."""
    if entry.status is EntryStatus.NOT_RUN:
        return f"needs {format_duration(entry.seconds_left)}"
    if entry.status in (EntryStatus.CANNOT_RUN, EntryStatus.FAILED):
        return entry.reason
    return ""


def describe_features(entry: Entry) -> list[str]:
    """n* of every feature without its interval, such as ``level 2: 96``."""
    return [
        f"{feature.feature.replace('_', ' ')}: {format_point(feature.nstar) or '?'}"
        for feature in entry.features
    ]


def describe_entry(entry: Entry, row: RowRequest, column: ColumnRequest) -> str:
    """The whole entry as sentences that can be read alone."""
    sentences = [f"{column.title} on {row.title}: {_describe_growth(entry, row)}"]
    reference = format_nstar(entry.reference)
    if reference:
        sentences.append(f"n* at {row.axis} = {row.reference} is {reference}")
    sentences += [_describe_feature(feature) for feature in entry.features]
    if entry.theory is not None:
        sentences.append(f"theory: {describe_theory(entry.theory, row)}")
    if column.uses:
        sentences.append(f"the method knows the {column.uses}")
    if entry.seconds:
        sentences.append(
            f"it took {format_duration(entry.seconds)} of one core, tuning not counted"
        )
    if entry.is_incomplete:
        sentences.append(f"not complete, needs {format_duration(entry.seconds_left)} more")
    if entry.is_incomplete and entry.failure:
        sentences.append(f"one of its cells failed ({entry.failure})")
    return ". ".join(_capitalise(sentence) for sentence in sentences) + "."


def _describe_feature(feature: FeatureNStar) -> str:
    name = feature.feature.replace("_", " ")
    nstar = format_nstar(feature.nstar) or "unknown"
    if name.startswith("level "):
        share = f"{100 * feature.overlap:g} %"
        return f"n* of the features of {name} is {nstar} (they explain {share} of the target's)"
    return f"n* of the planted {name} is {nstar} (an overlap of {feature.overlap:g})"


def _describe_growth(entry: Entry, row: RowRequest) -> str:
    axis, fit = row.axis, entry.fit
    if entry.status is EntryStatus.EXPONENT and fit is not None:
        text = f"n* grows as {axis}^{fit.exponent:.2f} {describe_interval(entry)}"
        rate = fit.rate[0]
        if axis == "L" and math.isfinite(rate):
            text += f", by a factor of {math.exp(rate):.2f} from level to level"
        return text
    texts = {
        EntryStatus.NEVER: "does not reach the risk at any size, and ends on a plateau",
        EntryStatus.MORE_THAN: "does not reach the risk at any size with the n that were tried",
        EntryStatus.LESS_THAN: "reaches the risk at the smallest n at every size",
        EntryStatus.NO_EXPONENT: f"no exponent ({entry.reason})",
        EntryStatus.NOT_RUN: f"not run, needs {format_duration(entry.seconds_left)} of one core",
        EntryStatus.CANNOT_RUN: f"cannot run ({entry.reason})",
        EntryStatus.FAILED: f"failed ({entry.reason})",
    }
    return texts[entry.status]


def describe_theory(theory: Theory, row: RowRequest) -> str:
    """A rate with its kind, status and source."""
    status = f", {theory.status}" if theory.status else ""
    return f"{row.axis}^{theory.exponent:.3g} ({theory.bound}{status}: {theory.source})"


def format_nstar(nstar: NStar | None) -> str:
    """n* with its interval; empty where there is none."""
    point = format_point(nstar)
    if not point or nstar is None or nstar.censored:
        return point
    return f"{point} [{format_count(nstar.lo)}, {format_count(nstar.hi)}]"


def format_point(nstar: NStar | None) -> str:
    """n*, or the bound where it is censored, without an interval; empty where there is none."""
    if nstar is None or math.isnan(nstar.value):
        return ""
    if nstar.censored == Censored.RIGHT:
        return f"> {format_count(nstar.lo)}"
    if nstar.censored == Censored.LEFT:
        return f"< {format_count(nstar.hi)}"
    return format_count(nstar.value)


def format_count(number: float) -> str:
    """A number of samples in four digits."""
    if not math.isfinite(number) or number <= 0:
        return "∞" if number > 0 else "0"
    digits = 3 - math.floor(math.log10(number))
    return f"{round(number, min(digits, 0)):,.0f}"


def _capitalise(sentence: str) -> str:
    return sentence if sentence.startswith("n*") else sentence[:1].upper() + sentence[1:]
