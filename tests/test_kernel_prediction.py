"""Predicted risks beside stored kernel curves, in tables and figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from commands import run

from analysis.kernel_prediction import predict_kernel_risks
from analysis.load import load_results
from analysis.plots.risk_against_n import risk_against_n
from bfc.baselines.kernels import NTK
from bfc.bounds.kernel_law import predict_risks
from bfc.targets.hierarchy import Hierarchy


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """Kernels on a hierarchy with a law, judged by squares and by errors, and without one."""
    folder = tmp_path_factory.mktemp("kernels")
    common = ("learner=none", "measure.test=256", "measure.seeds=2", "baseline.n_max=100")
    for changes in (
        ("baseline=ntk", "baseline.ridge=1e-6", "target.judged=squared"),
        ("baseline=rbf", "baseline.ridge=1e-6", "target.judged=zero_one"),
        ("baseline=random_features", "baseline.ridge=1e-6", "target.judged=squared"),
    ):
        assert run("target=hierarchy", "target.L=2", *common, *changes, cwd=folder).status == 0
    (evidence,) = load_results(folder / "results").studies.values()
    return evidence


def test_a_stored_curve_has_the_predicted_one_of_its_own_rules(evidence) -> None:
    rows = evidence.trainings
    predicted = predict_kernel_risks(rows)
    has_law = rows["method"].str.startswith("ReLU NTK")
    assert predicted[~has_law].isna().all() and predicted[has_law].notna().all()
    target = Hierarchy(L=2, judged="squared")
    for seed, curve in rows[has_law].groupby("seed"):
        expected = predict_risks(target, NTK(), 1e-6, int(seed), list(curve["n"]))
        np.testing.assert_allclose(predicted[curve.index], expected)


def test_a_task_or_a_table_without_curves_has_no_law(evidence) -> None:
    rows = evidence.trainings
    noisy = rows.assign(**{"config.task.noise": 0.1})
    assert predict_kernel_risks(noisy).isna().all()
    assert predict_kernel_risks(rows[rows["n"] < 0]).empty
    assert predict_kernel_risks(pd.DataFrame({"n": [8]})).isna().all()


def test_the_figure_of_risks_shows_the_law_beside_the_measured_curve(evidence) -> None:
    (chart,) = risk_against_n(evidence)
    series = chart.columns[0][0].series
    (law,) = [part for part in series if part.name.endswith(": law")]
    assert law.name.startswith("ReLU NTK") and law.form == "line" and "predicted" in law.legend
    (curve,) = [s for s in series if s.form == "curve" and s.name.startswith("ReLU NTK")]
    assert law.data["x"].tolist() == curve.data["x"].tolist()
