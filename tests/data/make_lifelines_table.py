"""Makes tests/data/lifelines.json: interval-censored thresholds and the log-normal that lifelines
fits to them, against which tests/test_likelihood.py holds the likelihood curve. It is run by hand,
in an environment of its own, because lifelines excludes the pandas that this program is tested
with:

    python3.11 -m venv /tmp/ll /tmp/ll/bin/pip install "lifelines==0.30.3" /tmp/ll/bin/python
    tests/data/make_lifelines_table.py

Half of the seeds walk a ladder of n (intervals between rungs, open at both ends), half are trained
at one n (one-sided)."""

import json
from pathlib import Path

import lifelines
import numpy as np


def main() -> None:
    rng = np.random.default_rng(7)
    cases = []
    for mean, sd, count in ((5.0, 0.35, 40), (7.0, 0.6, 120), (4.0, 0.15, 60)):
        t = mean + sd * rng.standard_normal(count)
        rungs = mean + np.linspace(-1.5, 1.5, 9) * sd * 1.3
        ends = np.r_[-np.inf, rungs, np.inf]
        place = np.searchsorted(rungs, t)
        lo, hi = ends[place], ends[place + 1]
        alone = np.arange(count) % 2 == 1
        at = mean + sd * rng.uniform(-1.2, 1.2, count)
        lo, hi = (
            np.where(alone, np.where(t <= at, -np.inf, at), lo),
            np.where(alone, np.where(t <= at, at, np.inf), hi),
        )
        fit = lifelines.LogNormalFitter().fit_interval_censoring(
            np.where(np.isneginf(lo), 0.0, np.exp(lo)), np.exp(hi)
        )
        cases.append(
            {
                "lo": [x if np.isfinite(x) else None for x in lo],
                "hi": [x if np.isfinite(x) else None for x in hi],
                "mu": float(fit.mu_),
                "sigma": float(fit.sigma_),
                "mu_se": float(fit.summary.loc["mu_", "se(coef)"]),
                "log_likelihood": float(fit.log_likelihood_),
            }
        )
    table = {
        "versions": {"lifelines": lifelines.__version__, "numpy": np.__version__},
        "cases": cases,
    }
    Path(__file__).with_name("lifelines.json").write_text(json.dumps(table) + "\n")


if __name__ == "__main__":
    main()
