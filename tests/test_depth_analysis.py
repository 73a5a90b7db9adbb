"""Predicates and figures of the depth-separation studies, on tables whose answers are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from synthetic import write_cell

from analysis.chart import Chart, TableFigure
from analysis.claims import measure_predicate
from analysis.evidence import Evidence
from analysis.load import load_results
from analysis.path_norm import compute_certificates, compute_norm_bounds
from analysis.registry import call_part, load_part
from analysis.style import LineStyle
from analysis.verdicts import Finding
from analysis.verdicts import judge as judge_measurement
from bfc.bounds.two_layer import bound_error, bound_norm, build_problem
from bfc.stats.claim_verdicts import Verdict
from bfc.targets.radial import Radial

TARGET = {
    "d": 4,
    "profile": "hinge",
    "frequency": 1.0,
    "law": "limit",
    "edge_ratio": 2.0,
    "inner": 0.0,
    "outer": 5.0,
}
EMPTY = Evidence(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())


def table(method: str, widths: list[int], risks: dict[int, float], **more) -> pd.DataFrame:
    """Eight seeds at every d, risks within 5 % of the given ones."""
    line = f"{method} {widths}"
    rows = []
    for d, risk in risks.items():
        cell = {
            "cell_id": f"{line} {d}",
            "line": line,
            "method": method,
            "kind": "training",
            "d": d,
            "n": 100,
            "config.learner.widths": json.dumps(widths),
        }
        cell |= {f"config.target.{key}": value for key, value in {**TARGET, "d": d}.items()}
        cell |= {key: values[d] for key, values in more.items()}
        for seed in range(8):
            rows.append({**cell, "seed": seed, "risk": risk * (1 + 0.05 * (seed - 3.5) / 3.5)})
    return pd.DataFrame(rows)


def evidence(*tables: pd.DataFrame, traces: pd.DataFrame | None = None) -> Evidence:
    rows = pd.concat(tables, ignore_index=True)
    styles = {line: LineStyle("#000000", "o", "-") for line in rows["line"]}
    return Evidence(
        pd.DataFrame(),
        pd.DataFrame(),
        rows,
        traces=pd.DataFrame() if traces is None else traces,
        styles=styles,
        name="s",
    )


def judge(name: str, data: Evidence, **options) -> Finding:
    return judge_measurement(measure_predicate(name, data, options, "test"))


DEEP = table("mf", [1], {2: 0.001, 8: 0.002, 32: 0.002})
SHALLOW = table("mlp", [512], {2: 0.002, 8: 0.06, 32: 0.12})
TWO = {"learner.widths": [512]}
THREE = {"learner.widths": [128, 64]}
ABSENT = {"learner.widths": [7]}
OTHER = table("mlp", [128, 64], {2: 0.001, 8: 0.01, 32: 0.01})
BOTH = evidence(DEEP, SHALLOW, OTHER)


RISK_CASES = [
    ({"method": "mf", "at_most": 0.003}, 0.002, Verdict.REPRODUCED),
    ({"method": "mf", "at_most": 0.0011, "to_d": 2}, 0.001, Verdict.REPRODUCED),
    ({"method": "mf", "at_most": 0.001}, 0.002, Verdict.CONTRADICTED),
    ({"method": "mlp", "where": TWO, "from_d": 8, "at_least": 0.05}, 0.06, Verdict.REPRODUCED),
    ({"method": "mlp", "where": TWO, "at_least": 0.05}, 0.002, Verdict.CONTRADICTED),
    ({"method": "mlp", "where": THREE, "from_d": 8, "at_most": 0.01}, 0.01, Verdict.UNDECIDED),
    ({"method": "mlp", "where": ABSENT, "at_most": 1.0}, math.nan, Verdict.NOT_RUN),
    (
        {"method": "mlp", "where": {"learner.nothing": 7}, "at_most": 1.0},
        math.nan,
        Verdict.NOT_RUN,
    ),
    ({"method": "mf", "n": 7, "at_most": 1.0}, math.nan, Verdict.NOT_RUN),
    ({"method": "mf", "column": "absent", "at_most": 1.0}, math.nan, Verdict.NOT_RUN),
]
RATIO = {"over": "mlp", "over_where": TWO, "under": "mf", "at_least": 20}
RATIO_CASES = [
    ({**RATIO, "from_d": 8}, 30, Verdict.REPRODUCED),
    (RATIO, 2, Verdict.CONTRADICTED),
    ({"over": "gone", "under": "mf", "at_least": 20}, math.nan, Verdict.NOT_RUN),
]
GROWTH_CASES = [
    ({"method": "mlp", "where": TWO}, 2, Verdict.REPRODUCED),
    ({"method": "mlp", "where": THREE}, 1, Verdict.UNDECIDED),
    ({"method": "mf", "to_d": 2}, math.nan, Verdict.NOT_RUN),
]


def assert_judged(name: str, options: dict, measured: float, verdict: Verdict) -> None:
    judgement = judge(name, BOTH, **options)
    assert judgement.verdict == verdict, judgement
    assert judgement.measured == pytest.approx(measured, rel=1e-9, nan_ok=True), judgement


@pytest.mark.parametrize("options, measured, verdict", RISK_CASES)
def test_risk_at_every_d(options, measured, verdict):
    assert_judged("risk_at_every_d", options, measured, verdict)


@pytest.mark.parametrize("options, measured, verdict", RATIO_CASES)
def test_risk_ratio_at_every_d(options, measured, verdict):
    assert_judged("risk_ratio_at_every_d", options, measured, verdict)


@pytest.mark.parametrize("options, measured, verdict", GROWTH_CASES)
def test_growing_in_d(options, measured, verdict):
    assert_judged("growing_in_d", options, measured, verdict)


@pytest.fixture
def two_widths() -> Evidence:
    """Two networks of one method: the narrow deep one needs few samples, the two-layer one many."""
    nstar, exponents, trainings = [], [], []
    for widths, sizes, exponent in (([512], (900, 4000), 1.1), ([128, 64], (200, 300), 0.3)):
        line = f"mlp {widths}"
        trainings.append(table("mlp", widths, {2: 0.1, 8: 0.1}).assign(L=3, degree=0))
        head = {"line": line, "method": "mlp", "eps": 0.1}
        ends = {"lo": exponent - 0.1, "hi": exponent + 0.1}
        exponents.append({**head, "exponent": exponent, **ends})
        for d, n in zip((2, 8), sizes, strict=True):
            cell = {"cell_id": f"{line} {d}", "d": d, "L": 3, "degree": 0, "censored": ""}
            nstar.append({**head, **cell, "nstar": n, "lo": n / 1.1, "hi": n * 1.1})
    return Evidence(
        pd.DataFrame(nstar), pd.DataFrame(exponents), pd.concat(trainings, ignore_index=True)
    )


def test_claims_about_sample_sizes_pick_networks_of_one_width(two_widths):
    ratio = {"over": "mlp", "under": "mlp", "eps": 0.1, "at_least": 3}
    picked = judge("nstar_ratio", two_widths, **ratio, over_where=TWO, under_where=THREE)
    assert picked.measured == pytest.approx(4.5) and picked.verdict == Verdict.REPRODUCED
    assert "of 2" in picked.remark
    pooled = judge("nstar_ratio", two_widths, **ratio)
    assert pooled.verdict == Verdict.NOT_RUN
    assert "2 configurations of mlp at d = 2" in pooled.remark
    assert "differ in learner.widths" in pooled.remark
    absent = judge("nstar_ratio", two_widths, **ratio, over_where=ABSENT)
    assert absent.verdict == Verdict.NOT_RUN


def test_claims_about_exponents_pick_networks_of_one_width(two_widths):
    options = {"method": "mlp", "eps": 0.1, "at_least": 0.9}
    assert judge("exponent", two_widths, **options, where=TWO).measured == 1.1
    assert judge("exponent", two_widths, **options).verdict == Verdict.NOT_RUN
    absent = judge("exponent", two_widths, method="mlp", where=ABSENT, eps=0.1)
    assert absent.verdict == Verdict.NOT_RUN


def test_a_missing_risk_counts_as_infinite():
    rows = DEEP.assign(risk=DEEP["risk"].where(DEEP["seed"] < 3))
    judgement = judge("risk_at_every_d", evidence(rows), method="mf", at_most=0.1)
    assert judgement.measured == math.inf and judgement.verdict == Verdict.UNDECIDED


def probe_traces() -> pd.DataFrame:
    """What the probe of a mean-field network measured at six steps of eight trainings."""
    rows = []
    for seed in range(8):
        for k, step in enumerate((0, 1, 5, 20, 100, 400)):
            parts = {
                "loss": 1.5 * 0.3**k,
                "perfect": 1.4 * 0.2**k,
                "discretisation": (0.002, 0.001, 0.001, 0.006, 0.001, 0.003)[k],
                "cross": -1e-4,
                "norm_sd": 0.06 - 0.01 * k,
            }
            neurons = {}
            for neuron in range(4):
                for name in ("w2", "b2"):
                    neurons[f"neuron/{neuron}/{name}"] = 0.01 * neuron - 0.2 * k
            profile = {f"profile/{r:.3f}": max(1 - r, 0) * k / 5 for r in (0.0, 0.5, 1.0, 1.5)}
            head = {"cell_id": "mf [1] 32", "line": "mf [1]", "d": 32, "n": 100, "seed": seed}
            head |= {"fresh": False, "kind": "training"}
            rows.append({**head, "step": step, "stage": "all", **parts, **neurons, **profile})
    return pd.DataFrame(rows)


TRACED = evidence(DEEP, traces=probe_traces())


def confirmed_on_fresh_samples(traces: pd.DataFrame) -> pd.DataFrame:
    """The same evaluations on fresh samples, a quarter of one a step, and a confirming run."""
    seen = traces.assign(fresh=True, n=traces["step"] / 4)
    confirming = seen.assign(kind="confirmation", step=0, n=0, discretisation=9.0)
    return pd.concat([confirming, seen])


FRESH = evidence(DEEP, traces=confirmed_on_fresh_samples(probe_traces()))


@pytest.mark.parametrize(
    "at, value", [("first", 0.002), ("last", 0.003), ("largest", 0.006), ("smallest", 0.001)]
)
@pytest.mark.parametrize("traced", [TRACED, FRESH], ids=["held", "fresh"])
def test_trace_bound_reads_the_chosen_evaluation(traced, at, value):
    options = {"method": "mf", "column": "discretisation", "at": at}
    between = judge("trace_bound", traced, **options, at_least=value * 0.9, at_most=value * 1.1)
    assert between.measured == pytest.approx(value) and between.verdict == Verdict.REPRODUCED
    below = judge("trace_bound", traced, **options, at_most=value * 0.9)
    assert below.verdict == Verdict.CONTRADICTED
    no_column = judge("trace_bound", traced, method="mf", column="nothing", at=at)
    assert no_column.verdict == Verdict.NOT_RUN
    no_trace = judge("trace_bound", BOTH, method="mf", column="loss", at=at)
    assert no_trace.verdict == Verdict.NOT_RUN


def test_a_first_evaluation_without_a_value_is_not_that_of_the_second():
    traces = probe_traces()
    traces["kink"] = traces["step"].map({1: 1.36}).where(traces["seed"] > 0, 9.0)
    options = {"method": "mf", "column": "kink", "at": "first"}
    part = measure_predicate("trace_bound", evidence(DEEP, traces=traces), options, "t").parts[0]
    assert list(part.estimate.values) == [9.0]


def test_certified_norm_is_what_the_library_computes():
    bounds = bound_norm(build_problem(Radial(d=4, law="limit")), 0.1)
    norm = judge("certified_norm", EMPTY, d=4, eps=0.1, at_most=2 * bounds.upper)
    assert (norm.lo, norm.hi) == (bounds.lower, bounds.upper)
    assert norm.verdict == Verdict.REPRODUCED
    ratio = judge("certified_norm", EMPTY, d=4, over_d=2, eps=0.1, at_least=1)
    other = compute_norm_bounds("limit", 2, 0.1)
    assert (ratio.lo, ratio.hi) == (bounds.lower / other.upper, bounds.upper / other.lower)
    assert ratio.verdict == Verdict.REPRODUCED
    large = judge("certified_norm", EMPTY, d=4, eps=0.1, at_least=100.0)
    assert large.verdict == Verdict.CONTRADICTED
    gap = judge("certified_gap", EMPTY, d=[2, 4], eps=[0.1], at_most=0.05)
    assert gap.measured == max(compute_norm_bounds("limit", d, 0.1).gap for d in (2, 4))
    assert gap.verdict == Verdict.REPRODUCED


def test_above_floor_compares_every_training_with_the_floor_of_its_norm():
    floor = bound_error(0.5, compute_certificates(Radial(**TARGET)))
    rows = table("mlp", [512], {4: 2 * floor}, **{"all/norm": {4: 0.5}})
    above = judge("above_floor", evidence(rows, DEEP), method="mlp")
    assert above.measured == pytest.approx(2 * 0.95) and above.verdict == Verdict.REPRODUCED
    below = judge("above_floor", evidence(rows.assign(risk=floor / 2)), method="mlp")
    assert below.verdict == Verdict.CONTRADICTED
    assert judge("above_floor", evidence(DEEP), method="mf").verdict == Verdict.NOT_RUN


def charts(name: str, data: Evidence, **options) -> list:
    return list(call_part(load_part("plots", name, "test"), data, options, "test"))


def series_of(chart: Chart, name: str) -> pd.DataFrame:
    drawn = chart.to_table()
    return drawn[drawn["series"] == name]


def test_figures_of_the_dynamics_hold_what_the_probe_measured():
    [profile] = charts("radial_profile", TRACED)
    truth = series_of(profile, "target")
    np.testing.assert_allclose(truth["y"], np.maximum(1 - truth["x"], 0))
    np.testing.assert_allclose(series_of(profile, "step 400")["y"], truth["y"])
    [cloud] = charts("neuron_cloud", TRACED)
    assert len(series_of(cloud, "step 0")) == 4
    [parts] = charts("loss_decomposition", TRACED)
    loss = series_of(parts, "risk")
    assert list(loss["x"]) == [1, 5, 20, 100, 400] and loss["y"].iloc[0] == pytest.approx(0.45)


def test_figures_of_the_floor():
    chart, sheet = charts("norm_table", EMPTY, d=[2, 4, 0], eps=[0.1, 0.05])
    assert isinstance(chart, Chart) and isinstance(sheet, TableFigure)
    assert list(sheet.data["d"]) == ["2", "2", "4", "4", "∞", "∞"]
    assert bool((sheet.data["lower"] <= sheet.data["upper"]).all())
    rows = table("mlp", [512], {4: 0.5}, **{"all/norm": {4: 0.5}})
    [above] = charts("two_layer_floor", evidence(rows))
    assert set(above.to_table()["series"]) == {"floor", "mlp [512]"}


def test_a_study_without_traces_in_a_store_with_traces(tmp_path):
    """Its traces are empty, with the columns of all probes of the store."""
    for name, study in (("a", "traced"), ("b", "untraced")):
        write_cell(tmp_path, name, study=study)
    head = {"n": 16, "seed": 0, "step": [0, 4], "stage": "all"}
    trace = pd.DataFrame({**head, "profile/0.000": 0.5, "profile/1.000": 0.0})
    trace.to_parquet(tmp_path / "a" / "trace.parquet")
    studies = load_results(tmp_path).studies
    assert len(studies["traced"].traces) == 2 and not len(studies["untraced"].traces)
    assert not charts("radial_profile", studies["untraced"])


@pytest.mark.parametrize(
    "name", ["radial_profile", "neuron_cloud", "loss_decomposition", "two_layer_floor"]
)
def test_nothing_is_drawn_of_nothing(name):
    assert not charts(name, EMPTY) and not charts(name, BOTH)
