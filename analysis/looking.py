"""Looks at a claim: which finding stands, that of the newest trainings or that of an earlier look.

A verdict stands at the look that made it, and with it the numbers and the interval that it was made
from. What was measured since is named beside them, and judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.display_table import format_table_value
from analysis.look_log import Look, LookLog
from analysis.verdicts import Finding
from bfc.stats.claim_verdicts import DECIDED, Verdict
from bfc.stats.looks import MAX_LOOKS

NOT_LOOKED_AT = "a budget ended while its cells were measured, which are not looked at yet"


def look_at(
    claim: Mapping[str, Any], finding: Finding, p_value: float, log: LookLog
) -> tuple[int, Finding, float]:
    """The number of this look, and the finding and p-value of the verdict that stands after it.

    What was not run, or is certified, is not looked at in this sense: its number is 0. The p-value
    of an earlier look is NaN where its log did not hold one.
    """
    if finding.verdict is Verdict.NOT_RUN or finding.is_certified:
        return 0, finding, p_value
    look = _make_look(finding, p_value)
    record = log.record(claim, look, finding.source.cells)
    standing = record.standing
    if standing is None:
        unseen = Finding(math.nan, math.nan, math.nan, Verdict.NOT_RUN, NOT_LOOKED_AT)
        return 0, unseen, math.nan
    if standing.fingerprint == look.fingerprint:
        return record.number, finding, p_value
    return record.number, _restore(standing, finding, record.number), standing.p_value


def _make_look(finding: Finding, p_value: float) -> Look:
    return Look(
        finding.source.fingerprint,
        str(finding.source),
        finding.verdict.value,
        p_value,
        finding.measured,
        finding.lo,
        finding.hi,
        finding.judged_lo,
        finding.judged_hi,
        finding.remark,
    )


def _restore(standing: Look, newest: Finding, number: int) -> Finding:
    """The finding of an earlier look, with what was measured since in the remark."""
    restored = replace(newest, verdict=Verdict(standing.verdict), earlier_source=standing.source)
    if math.isnan(standing.judged_lo) and math.isnan(standing.measured):
        remark = (
            f"{newest.remark}; verdict of an earlier look, at {standing.source}, whose interval "
            "was not stored: this one is from the newest trainings"
        )
        return replace(restored, remark=remark.lstrip("; "))
    remarks = [standing.remark, f"verdict of an earlier look, at {standing.source}"]
    if standing.verdict in DECIDED:
        interval = f"{format_table_value(newest.lo)} to {format_table_value(newest.hi)}"
        remarks.append(
            f"the newest trainings ({newest.source}), which tables and figures show, give "
            f"{format_table_value(newest.measured)}, {interval} unadjusted, which judges nothing"
        )
    elif number < MAX_LOOKS:
        remarks.append(NOT_LOOKED_AT)
    return replace(
        restored,
        measured=standing.measured,
        lo=standing.lo,
        hi=standing.hi,
        judged_lo=standing.judged_lo,
        judged_hi=standing.judged_hi,
        remark="; ".join(filter(None, remarks)),
    )
