"""Predicates and figures of the depth-separation studies, on tables whose answers are known."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from synthetic import write_cell

from analysis.chart import Chart, TableFigure
from analysis.evidence import Evidence, Verdict
from analysis.load import load_results
from analysis.path_norm import compute_norm_bounds
from analysis.registry import call_part, load_part
from analysis.style import LineStyle
from bfc.bounds.two_layer import bound_error, bound_norm, build_problem
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
    rows = []
    for d, risk in risks.items():
        for seed in range(8):
            target = {f"config.target.{key}": value for key, value in {**TARGET, "d": d}.items()}
            head = {
                "cell_id": f"{method} {widths} {d}",
                "line": f"{method} {widths}",
                "method": method,
                "kind": "training",
            }
            own = {"d": d, "n": 100, "seed": seed, "risk": risk * (1 + 0.05 * (seed - 3.5) / 3.5)}
            own["config.learner.widths"] = json.dumps(widths)
            rows.append({**head, **own, **target, **{key: value[d] for key, value in more.items()}})
    return pd.DataFrame(rows)


def evidence(*tables: pd.DataFrame, traces: pd.DataFrame | None = None) -> Evidence:
    rows = pd.concat(tables, ignore_index=True)
    looks = {line: LineStyle("#000000", "o", "-") for line in rows["line"]}
    return Evidence(
        pd.DataFrame(),
        pd.DataFrame(),
        rows,
        traces=pd.DataFrame() if traces is None else traces,
        styles=looks,
        name="s",
    )


def judge(name: str, found: Evidence, **options):
    return call_part(load_part("predicates", name, "test"), found, options, "test")


DEEP, SHALLOW = (
    table("mf", [1], {2: 0.001, 8: 0.002, 32: 0.002}),
    table("mlp", [512], {2: 0.002, 8: 0.06, 32: 0.12}),
)
TWO = {"learner.widths": [512]}
OTHER = table("mlp", [128, 64], {2: 0.001, 8: 0.01, 32: 0.01})
BOTH = evidence(DEEP, SHALLOW, OTHER)


@pytest.mark.parametrize(
    "name, options, measured, verdict",
    [
        ("risk_at_every_d", {"method": "mf", "at_most": 0.003}, 0.002, Verdict.REPRODUCED),
        ("risk_at_every_d", {"method": "mf", "at_most": 0.0011, "to_d": 2}, 0.001, Verdict.REPRODUCED),
        ("risk_at_every_d", {"method": "mf", "at_most": 0.001}, 0.002, Verdict.CONTRADICTED),
        (
            "risk_at_every_d",
            {"method": "mlp", "where": TWO, "from_d": 8, "at_least": 0.05},
            0.06,
            Verdict.REPRODUCED,
        ),
        ("risk_at_every_d", {"method": "mlp", "where": TWO, "at_least": 0.05}, 0.002, Verdict.CONTRADICTED),
        (
            "risk_at_every_d",
            {"method": "mlp", "where": {"learner.widths": [128, 64]}, "from_d": 8, "at_most": 0.01},
            0.01,
            Verdict.UNDECIDED,
        ),
        (
            "risk_at_every_d",
            {"method": "mlp", "where": {"learner.widths": [7]}, "at_most": 1.0},
            math.nan,
            Verdict.UNDECIDED,
        ),
        (
            "risk_at_every_d",
            {"method": "mlp", "where": {"learner.nothing": 7}, "at_most": 1.0},
            math.nan,
            Verdict.UNDECIDED,
        ),
        ("risk_at_every_d", {"method": "mf", "n": 7, "at_most": 1.0}, math.nan, Verdict.UNDECIDED),
        (
            "risk_at_every_d",
            {"method": "mf", "column": "absent", "at_most": 1.0},
            math.nan,
            Verdict.UNDECIDED,
        ),
        (
            "risk_ratio_at_every_d",
            {"over": "mlp", "over_where": TWO, "under": "mf", "from_d": 8, "at_least": 20},
            30,
            Verdict.REPRODUCED,
        ),
        (
            "risk_ratio_at_every_d",
            {"over": "mlp", "over_where": TWO, "under": "mf", "at_least": 20},
            2,
            Verdict.CONTRADICTED,
        ),
        (
            "risk_ratio_at_every_d",
            {"over": "gone", "under": "mf", "at_least": 20},
            math.nan,
            Verdict.UNDECIDED,
        ),
        ("growing_in_d", {"method": "mlp", "where": TWO}, 2, Verdict.REPRODUCED),
        ("growing_in_d", {"method": "mlp", "where": {"learner.widths": [128, 64]}}, 1, Verdict.UNDECIDED),
        ("growing_in_d", {"method": "mf", "to_d": 2}, math.nan, Verdict.UNDECIDED),
    ],
)
def test_predicates_over_d(name, options, measured, verdict):
    found = judge(name, BOTH, **options)
    assert found.verdict == verdict and found.measured == pytest.approx(
        measured, rel=1e-9, nan_ok=True
    ), found


def test_claims_about_samples_pick_networks_of_one_width():
    """Two networks of one method: the narrow deep one needs few samples, the two-layer one many."""
    shallow, deep = table("mlp", [512], {2: 0.1, 8: 0.1}), table("mlp", [128, 64], {2: 0.1, 8: 0.1})
    head = {"L": 3, "degree": 0, "eps": 0.1, "censored": "", "method": "mlp"}
    nstar = [
        {
            **head,
            "cell_id": f"mlp {widths} {d}",
            "d": d,
            "nstar": n,
            "lo": n / 1.1,
            "hi": n * 1.1,
            "line": f"mlp {widths}",
        }
        for widths, sizes in (([512], (900, 4000)), ([128, 64], (200, 300)))
        for d, n in zip((2, 8), sizes, strict=True)
    ]
    fits = [
        {
            "line": f"mlp {widths}",
            "method": "mlp",
            "eps": 0.1,
            "exponent": own,
            "lo": own - 0.1,
            "hi": own + 0.1,
        }
        for widths, own in (([512], 1.1), ([128, 64], 0.3))
    ]
    found = Evidence(
        pd.DataFrame(nstar), pd.DataFrame(fits), pd.concat([shallow, deep], ignore_index=True)
    )
    three, none = {"learner.widths": [128, 64]}, {"learner.widths": [7]}
    between = judge(
        "nstar_ratio",
        found,
        over="mlp",
        over_where=TWO,
        under="mlp",
        under_where=three,
        eps=0.1,
        at_least=3,
    )
    assert (
        between.measured == pytest.approx(4.5)
        and between.verdict == Verdict.REPRODUCED
        and "of 2" in between.remark
    )
    assert (
        judge("nstar_ratio", found, over="mlp", under="mlp", eps=0.1, at_least=3).verdict
        == Verdict.CONTRADICTED
    )
    assert (
        judge(
            "nstar_ratio", found, over="mlp", over_where=none, under="mlp", eps=0.1, at_least=3
        ).verdict
        == Verdict.UNDECIDED
    )
    assert judge("exponent", found, method="mlp", where=TWO, eps=0.1, at_least=0.9).measured == 1.1
    assert judge("exponent", found, method="mlp", eps=0.1, at_least=0.9).verdict == Verdict.UNDECIDED
    assert judge("exponent", found, method="mlp", where=none, eps=0.1).verdict == Verdict.UNDECIDED


def test_a_missing_risk_counts_as_infinite():
    rows = DEEP.assign(risk=DEEP["risk"].where(DEEP["seed"] < 3))
    found = judge("risk_at_every_d", evidence(rows), method="mf", at_most=0.1)
    assert found.measured == math.inf and found.verdict == Verdict.UNDECIDED


def looks() -> pd.DataFrame:
    rows = []
    for seed in range(8):
        for k, step in enumerate((0, 1, 5, 20, 100, 400)):
            parts = {
                "loss": 1.5 * 0.3**k,
                "perfect": 1.4 * 0.2**k,
                "discretisation": 0.005 * (k == 3) + 0.001,
                "cross": -1e-4,
                "norm_sd": 0.06 - 0.01 * k,
            }
            cloud = {
                f"neuron/{j}/{name}": 0.01 * j - 0.2 * k for j in range(4) for name in ("w2", "b2")
            }
            profile = {f"profile/{r:.3f}": max(1 - r, 0) * k / 5 for r in (0.0, 0.5, 1.0, 1.5)}
            rows.append(
                {
                    "cell_id": "mf [1] 32",
                    "line": "mf [1]",
                    "n": 100,
                    "seed": seed,
                    "step": step,
                    "stage": "all",
                    "d": 32,
                    **parts,
                    **cloud,
                    **profile,
                }
            )
    return pd.DataFrame(rows)


SEEN = evidence(DEEP, traces=looks())


@pytest.mark.parametrize(
    "at, want", [("first", 0.001), ("last", 0.001), ("largest", 0.006), ("smallest", 0.001)]
)
def test_trace_bound_reads_the_look_asked_for(at, want):
    found = judge(
        "trace_bound",
        SEEN,
        method="mf",
        column="discretisation",
        at=at,
        at_least=want * 0.9,
        at_most=want * 1.1,
    )
    assert found.measured == pytest.approx(want) and found.verdict == Verdict.REPRODUCED
    assert (
        judge(
            "trace_bound", SEEN, method="mf", column="discretisation", at=at, at_most=want * 0.9
        ).verdict
        == Verdict.CONTRADICTED
    )
    assert judge("trace_bound", SEEN, method="mf", column="nothing", at=at).verdict == Verdict.UNDECIDED
    assert judge("trace_bound", BOTH, method="mf", column="loss", at=at).verdict == Verdict.UNDECIDED


def test_certified_norm_is_what_the_library_computes():
    want = bound_norm(build_problem(Radial(d=4, law="limit")), 0.1)
    found = judge("certified_norm", EMPTY, d=4, eps=0.1, at_most=2 * want.upper)
    assert (found.lo, found.hi, found.verdict) == (want.lower, want.upper, Verdict.REPRODUCED)
    ratio = judge("certified_norm", EMPTY, d=4, over_d=2, eps=0.1, at_least=1)
    other = compute_norm_bounds("limit", 2, 0.1)
    assert (
        ratio.lo == want.lower / other.upper
        and ratio.hi == want.upper / other.lower
        and ratio.verdict == Verdict.REPRODUCED
    )
    assert judge("certified_norm", EMPTY, d=4, eps=0.1, at_least=100.0).verdict == Verdict.CONTRADICTED
    gap = judge("certified_gap", EMPTY, d=[2, 4], eps=[0.1], at_most=0.05)
    assert (
        gap.measured == max(compute_norm_bounds("limit", d, 0.1).gap for d in (2, 4))
        and gap.verdict == Verdict.REPRODUCED
    )


def test_above_floor_compares_every_training_with_the_floor_of_its_norm():
    own = Radial(**TARGET)
    from analysis.path_norm import compute_certificates as certificates

    value = bound_error(0.5, certificates(own))
    rows = table("mlp", [512], {4: 2 * value}, **{"all/norm": {4: 0.5}})
    result = judge("above_floor", evidence(rows, DEEP), method="mlp")
    assert result.measured == pytest.approx(2 * 0.95) and result.verdict == Verdict.REPRODUCED
    assert (
        judge("above_floor", evidence(rows.assign(risk=value / 2)), method="mlp").verdict
        == Verdict.CONTRADICTED
    )
    assert judge("above_floor", evidence(DEEP), method="mf").verdict == Verdict.UNDECIDED


def charts(name: str, found: Evidence, **options) -> list:
    return list(call_part(load_part("plots", name, "test"), found, options, "test"))


def test_figures_of_the_dynamics_hold_what_the_probe_saw():
    [profile] = charts("radial_profile", SEEN)
    drawn = profile.to_table()
    truth = drawn[drawn["series"] == "target"]
    np.testing.assert_allclose(truth["y"], np.maximum(1 - truth["x"], 0))
    np.testing.assert_allclose(drawn[drawn["series"] == "step 400"]["y"], truth["y"])
    [cloud] = charts("neuron_cloud", SEEN)
    assert len(cloud.to_table()[cloud.to_table()["series"] == "step 0"]) == 4
    [parts] = charts("loss_decomposition", SEEN)
    loss = parts.to_table()[parts.to_table()["series"] == "risk"]
    assert list(loss["x"]) == [1, 5, 20, 100, 400] and loss["y"].iloc[0] == pytest.approx(0.45)


def test_figures_of_the_floor():
    chart, sheet = charts("norm_table", EMPTY, d=[2, 4, 0], eps=[0.1, 0.05])
    assert (
        isinstance(chart, Chart)
        and isinstance(sheet, TableFigure)
        and list(sheet.data["d"]) == ["2", "2", "4", "4", "∞", "∞"]
    )
    assert bool((sheet.data["lower"] <= sheet.data["upper"]).all())
    rows = table("mlp", [512], {4: 0.5}, **{"all/norm": {4: 0.5}})
    [above] = charts("two_layer_floor", evidence(rows))
    assert set(above.to_table()["series"]) == {"floor", "mlp [512]"}


def test_a_study_without_looks_beside_one_with_them(tmp_path):
    """Its traces are empty, with the columns of every probe of the store."""
    for name, study in (("a", "seen"), ("b", "unseen")):
        write_cell(tmp_path, name, study=study)
    pd.DataFrame(
        {
            "n": 16,
            "seed": 0,
            "step": [0, 4],
            "stage": "all",
            "profile/0.000": 0.5,
            "profile/1.000": 0.0,
        }
    ).to_parquet(tmp_path / "a" / "trace.parquet")
    studies = load_results(tmp_path).studies
    assert len(studies["seen"].traces) == 2 and not len(studies["unseen"].traces)
    assert not charts("radial_profile", studies["unseen"])


@pytest.mark.parametrize(
    "name", ["radial_profile", "neuron_cloud", "loss_decomposition", "two_layer_floor"]
)
def test_nothing_is_drawn_of_nothing(name):
    assert not charts(name, EMPTY) and not charts(name, BOTH)
