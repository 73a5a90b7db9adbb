"""Simulated studies of the predicates that read risks, other columns of trainings, and bounds."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

import numpy as np
import pandas as pd
from predicate_simulation import (
    CLOPPER,
    STUDENT,
    Generator,
    Simulated,
    Simulation,
    add_simulation,
    clopper,
    evidence,
    median_reference,
    spread,
    student,
    trainings,
    welch,
)

from analysis.kernel_prediction import predict_kernel_risks
from analysis.path_norm import compute_certificates
from bfc.bounds.two_layer import bound_error, bound_norm, build_problem
from bfc.targets.radial import Radial
from bfc.tasks.agnostic import Agnostic

SIMULATIONS: dict[str, Simulation] = {}
simulates = functools.partial(add_simulation, SIMULATIONS)


@simulates("median_value", STUDENT)
def _(generator: Generator, seeds: int) -> Simulated:
    risk = 0.1 * spread(generator, seeds, 1)
    rows = trainings("m", {"risk": risk})
    return Simulated(evidence(rows), {"method": "m"}, [0.1], [median_reference(risk[:, 0])])


@simulates("within", STUDENT, repeats=60)
def _(generator: Generator, seeds: int) -> Simulated:
    risk = 0.1 * spread(generator, seeds, 1)
    other = trainings("m", {"risk": 9 * risk}).assign(target="u", d=99)
    claim = {"where": {"target": "t"}, "predicate": "median_value", "thresholds": {"method": "m"}}
    rows = evidence(trainings("m", {"risk": risk}), other)
    return Simulated(rows, claim, [0.1], [median_reference(risk[:, 0])])


@simulates("of_feature", STUDENT, repeats=60)
def _(generator: Generator, seeds: int) -> Simulated:
    missing = 0.1 * spread(generator, seeds, 1)
    claim = {"feature": "forms", "predicate": "median_value", "thresholds": {"method": "m"}}
    measured = evidence(trainings("m", {"risk": missing}))
    rows = evidence(trainings("m", {"risk": 9 * missing}), features={"forms": measured})
    return Simulated(rows, claim, [0.1], [median_reference(missing[:, 0])])


@simulates("median_ratio", STUDENT + ", of ratios seed by seed")
def _(generator: Generator, seeds: int) -> Simulated:
    """Both methods share the draws of a seed, whose effect is larger than what differs."""
    shared = spread(generator, seeds, 1) ** 3
    first, second = (shared * spread(generator, seeds, 1) for _ in range(2))
    rows = evidence(trainings("a", {"risk": 3 * first}), trainings("b", {"risk": second}))
    options = {"over": "a", "under": "b"}
    return Simulated(rows, options, [3.0], [median_reference((3 * first / second)[:, 0])])


@simulates("agnostic_bound", STUDENT)
def _(generator: Generator, seeds: int) -> Simulated:
    risk = 0.2 * spread(generator, seeds, 1)
    rows = trainings("m", {"risk": risk})
    rows = rows.assign(**{"config.task.size": 0.5, "config.task.judge": "total"})
    bound = Agnostic(size=0.5).bound(0.1, 0.1)
    options = {"method": "m", "gamma": 0.1, "eps": 0.1}
    return Simulated(evidence(rows), options, [0.2 / bound], [median_reference(risk[:, 0] / bound)])


@simulates("agreement", STUDENT, in_logs=False, repeats=25)
def _(generator: Generator, seeds: int) -> Simulated:
    measured = 1.2 * spread(generator, seeds, 3)
    rows = trainings("m", {"a": measured, "b": np.ones((seeds, 3))}, d=(8, 16, 32))
    rows["config.target.alpha"] = "[1.0, 0.5]"
    options = {"method": "m", "column": "a", "with_column": "b"}
    references = [
        median_reference(column) for column in measured[:, [1, 2, 0]].T
    ]  # "m 16" < "m 32"
    return Simulated(evidence(rows), options, [1.2] * 3, references)


@simulates("kernel_law", STUDENT + ", of the geometric mean over n")
def _(generator: Generator, seeds: int) -> Simulated:
    """Curves that lie by a factor above the law, at an n that counts and at one that does not."""
    ratio = 1.02 * spread(generator, seeds, 1)
    small = trainings("m", {"risk": np.ones((seeds, 1))}).assign(n=100)
    large = [trainings("m", {"risk": np.ones((seeds, 1))}).assign(n=n) for n in (700, 1000)]
    rows = pd.concat([small, *large], ignore_index=True).assign(kind="curve", ridge=1e-8)
    keys = {
        "target._target_": "bfc.targets.hierarchy.Hierarchy",
        "target.judged": "squared",
        "baseline._target_": "bfc.baselines.kernels.NTK",
        "baseline.ridge": 1e-8,
    }
    rows = rows.assign(**{f"config.{key}": value for key, value in keys.items()})
    factor = rows["seed"].map(dict(enumerate(ratio[:, 0]))).where(rows["n"] >= 700, 5.0)
    rows["risk"] = predict_kernel_risks(rows) * factor
    return Simulated(evidence(rows), {"method": "m"}, [1.02], [median_reference(ratio[:, 0])])


@simulates("falling_medians", STUDENT + ", of ratios seed by seed", repeats=25)
def _(generator: Generator, seeds: int) -> Simulated:
    shared = spread(generator, seeds, 1) ** 3
    risks = [shared * spread(generator, seeds, 1) / 3**i for i in range(4)]
    rows = evidence(*(trainings(f"m{i}", {"risk": risk}) for i, risk in enumerate(risks)))
    options = {"methods": [f"m{i}" for i in range(4)], "factors": [2, 2, 2]}
    references = [median_reference((risks[i] / risks[i + 1] / 2)[:, 0]) for i in range(3)]
    return Simulated(rows, options, [1.5] * 3, references)


@simulates("risk_at_every_d", STUDENT)
def _(generator: Generator, seeds: int) -> Simulated:
    """One training in 40 diverges."""
    shared = spread(generator, seeds, 1)
    risk = 0.1 * shared * spread(generator, seeds, 4)
    references = [median_reference(column) for column in risk.T]
    risk[generator.random(risk.shape) < 1 / 40] = np.nan
    rows = trainings("m", {"risk": risk}, d=(8, 12, 16, 24))
    # the median moves up by .0127 of the probability: that of the finite risks, at 1 / (2 · .975)
    return Simulated(evidence(rows), {"method": "m"}, [0.1 * _shared_quantile()] * 4, references)


@functools.cache
def _shared_quantile() -> float:
    """The quantile at .5 / .975 of the product of two draws of :func:`spread`."""
    generator = np.random.default_rng(7)
    product = spread(generator, 4_000_000) * spread(generator, 4_000_000)
    return float(np.quantile(product, 0.5 / 0.975))


@simulates("risk_ratio_at_every_d", STUDENT + ", of ratios seed by seed")
def _(generator: Generator, seeds: int) -> Simulated:
    shared = spread(generator, seeds, 1) ** 3
    first, second = (shared * spread(generator, seeds, 3) for _ in range(2))
    places = (8, 16, 32)
    rows = evidence(
        trainings("a", {"risk": 3 * first}, places), trainings("b", {"risk": second}, places)
    )
    references = [median_reference(3 * x / y) for x, y in zip(first.T, second.T, strict=True)]
    return Simulated(rows, {"over": "a", "under": "b"}, [3.0] * 3, references)


@simulates("growing_in_d", "Welch of log values")
def _(generator: Generator, seeds: int) -> Simulated:
    risk = np.array([1, 2, 4]) * spread(generator, seeds, 3)
    rows = trainings("m", {"risk": risk}, d=(8, 16, 32))
    references = [welch(risk[:, i + 1], risk[:, i]) for i in range(2)]
    return Simulated(evidence(rows), {"method": "m"}, [2.0] * 2, references)


@simulates("trace_bound", STUDENT, in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    value = 0.1 * spread(generator, seeds, 1)
    rows = trainings("m", {"risk": value})
    head = rows[["cell_id", "seed", "n", "kind"]].assign(fresh=False)
    traces = pd.concat([head.assign(step=0, x=9.0), head.assign(step=4, x=value[:, 0])])
    options = {"method": "m", "column": "x", "at": "last"}
    return Simulated(evidence(rows, traces=traces), options, [0.1], [median_reference(value[:, 0])])


@simulates("power_law", "Student of slopes, signed-rank from 6 seeds on", in_logs=False, repeats=80)
def _(generator: Generator, seeds: int) -> Simulated:
    ratios = np.array([0.1, 0.2, 0.4, 0.8])
    x = np.log(ratios)
    values = np.exp(1.5 * x) * spread(generator, seeds, 1) * spread(generator, seeds, 4)
    rows = trainings("m", {"y": values}, d=range(4)).assign(d=8)
    rows["config.target.alpha"] = [json.dumps([2.0, 2 * a]) for a in np.tile(ratios, seeds)]
    slopes = np.log(values) @ (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    options = {"method": "m", "column": "y", "ratio": [3, 2]}
    return Simulated(evidence(rows), options, [1.5], [median_reference(slopes, in_logs=False)])


@simulates("log_slope", "Student of slopes", in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    widths = np.array([64.0, 256, 1024])
    x = np.log(widths) - np.log(widths).mean()
    values = widths**-0.25 * spread(generator, seeds, 1) * spread(generator, seeds, 3)
    rows = trainings("m", {"x": values}, d=range(3)).assign(d=8)
    rows["config.learner.width"] = np.tile(widths, seeds)
    options = {"method": "m", "column": "x", "against": "learner.width"}
    reference = student(np.log(values) @ x / (x @ x), in_logs=False)
    band = {"at_least": -1.0, "at_most": 1.0}
    return Simulated(evidence(rows), options | band, [-0.25], [reference])


@simulates("share_falling", CLOPPER, in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    falls = generator.random((seeds, 1)) < 0.7
    rows = trainings("m", {"a": np.ones((seeds, 1)), "b": np.where(falls, 0.5, 2.0)})
    options = {"method": "m", "columns": ["a", "b"], "at_least": 0.5}
    return Simulated(evidence(rows), options, [0.7], [clopper(int(falls.sum()), seeds)])


@simulates("success_share", CLOPPER + ", one trial per seed", in_logs=False)
def _(generator: Generator, seeds: int) -> Simulated:
    """Three cells share the draws of a seed, which decides alone in half of the seeds."""
    is_shared = generator.random((seeds, 1)) < 0.5
    draws = np.where(is_shared, generator.random((seeds, 1)), generator.random((seeds, 3)))
    risk = np.where(draws < 0.6, 0.001, 1.0)
    rows = trainings("m", {"risk": risk}, d=(8, 16, 32))
    rows["config.target.alpha"] = "[1.0, 0.5]"
    reference = clopper(round((risk < 0.1).mean() * seeds), seeds)
    return Simulated(evidence(rows), {"method": "m", "risk": 0.01}, [0.6], [reference])


RADIAL = Radial(d=4, law="limit", profile="hinge")


@simulates("above_floor", "certified", repeats=2)
def _(generator: Generator, seeds: int) -> Simulated:
    """Trainings at known multiples of the floor of their norm."""
    floor = bound_error(0.5, compute_certificates(RADIAL))
    ratios = 1 + generator.random((seeds, 1))
    rows = trainings("m", {"risk": floor * ratios, "all/norm": np.full((seeds, 1), 0.5)}, d=(4,))
    for key in ("d", "profile", "frequency", "law", "edge_ratio", "inner", "outer"):
        rows[f"config.target.{key}"] = getattr(RADIAL, key)
    return Simulated(evidence(rows), {"method": "m"}, [float(ratios.min())])


@functools.cache
def _finer_bounds(d: int, eps: float) -> Any:
    """With four times as many radii as the predicate uses."""
    return bound_norm(build_problem(Radial(d=d, law="limit"), radii=1600), eps)


@simulates("certified_norm", "certified", repeats=1)
def _(generator: Generator, seeds: int) -> Simulated:
    bounds = _finer_bounds(4, 0.1)
    return Simulated(evidence(), {"d": 4, "eps": 0.1}, [math.sqrt(bounds.lower * bounds.upper)])


@simulates("certified_gap", "certified", repeats=1)
def _(generator: Generator, seeds: int) -> Simulated:
    truths = [bound_norm(build_problem(Radial(d=d, law="limit")), 0.1).gap for d in (2, 4)]
    return Simulated(evidence(), {"d": [2, 4], "eps": [0.1], "at_most": 1.0}, truths)
