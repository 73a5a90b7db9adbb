"""``collapse``: n* follows a stated law of d, up to one constant."""

from __future__ import annotations

import numpy as np

from analysis.evidence import CONTRADICTED, REPRODUCED, UNDECIDED, Evidence, Finding, band, cells_of, nothing
from analysis.laws import law as law_of


def collapse(evidence: Evidence, method: str, eps: float, law: str, at_least: float, at_most: float) -> Finding:
    """n* over the law (:mod:`analysis.laws`) at every d lies in a band. Measured: the geometric mean over d; its bounds are the lowest
    and highest ends of the cells' own intervals. Reproduced where every cell's ratio lies in the band and no interval reaches beyond
    it; contradicted where some cell's whole interval lies outside."""
    rows = cells_of(evidence, method, eps)
    rows = rows[(rows["censored"] == "") & rows["nstar"].notna()].sort_values("d")
    if len(rows) < 2:
        return nothing(f"{len(rows)} cells of {method} with an n* at eps {eps}")
    scale = np.array([law_of(law)(int(d), int(p)) for d, p in zip(rows["d"], rows["degree"], strict=True)])
    ratio, lo, hi = (rows[name].to_numpy(float) / scale for name in ("nstar", "lo", "hi"))
    each = [band(*values, at_least, at_most).verdict for values in zip(ratio, lo, hi, strict=True)]
    verdict = CONTRADICTED if CONTRADICTED in each else REPRODUCED if set(each) == {REPRODUCED} else UNDECIDED
    spread = f"{ratio.min():.3g}–{ratio.max():.3g} over d = {rows['d'].min()} … {rows['d'].max()} ({len(rows)} cells)"
    return Finding(float(np.exp(np.log(ratio).mean())), float(np.nanmin(lo)), float(np.nanmax(hi)), verdict, f"ratios {spread}")
