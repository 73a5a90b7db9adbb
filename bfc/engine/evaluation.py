"""What a trained stack is worth: relative risk on fresh rows, and the probes.

Learners that centre do it with constants from separate unlabelled rows, so the prediction for a row
is a function of that row and no label is used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from bfc.engine.concat_target import split_by_target
from bfc.engine.data import StackData
from bfc.engine.recipe import Recipe
from bfc.shapes import Float, Float64, Int, Num
from bfc.types import Draw, Params, Probe, Progress, Target, sample

ROWS = 1 << 18
"""Rows of all replicas that a network is evaluated on at a time.

Its activations then never outgrow those of training.
"""
Evaluation = dict[str, float]
"""``risk`` and, with a probe, ``<what>/<level>``."""
Output = TypeVar("Output", Tensor, dict[str, Tensor])


def map_in_chunks(
    function: Callable[[Params, Tensor, Mapping[str, Tensor] | None], Output],
    params: Params,
    x: Float[Tensor, "R B d"],
    statistics: Mapping[str, Tensor] | None = None,
) -> Output:
    """``function(params, x, statistics)``, few replicas at a time.

    Every tensor that is given or returned has R first.
    """
    chunk = max(1, ROWS // x.shape[1])
    if len(x) <= chunk:
        return function(params, x, statistics)
    outputs = []
    for start in range(0, len(x), chunk):
        rows = slice(start, start + chunk)
        part = None if statistics is None else _select(statistics, rows)
        outputs.append(function(_select(params, rows), x[rows], part))
    return _concatenate(outputs)


def _select(values: Mapping[str, Tensor], rows: slice) -> dict[str, Tensor]:
    return {name: value[rows] for name, value in values.items()}


def _concatenate(outputs: list[Output]) -> Output:
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(outputs)
    return {name: torch.cat([output[name] for output in outputs]) for name in first}


def predict(
    recipe: Recipe,
    params: Params,
    x: Float[Tensor, "R B d"],
    present: frozenset[str],
    statistics: Mapping[str, Tensor] | None,
) -> Float[Tensor, "R B *outputs"]:
    """The learner's outputs."""
    learner = recipe.learner
    return map_in_chunks(
        lambda p, rows, centre: learner.forward(p, rows, present, centre), params, x, statistics
    )


def centring_constants(
    recipe: Recipe, params: Params, x: Float[Tensor, "R B d"], present: frozenset[str]
) -> dict[str, Tensor]:
    """The learner's statistics on unlabelled rows, name → (R, ...)."""
    learner = recipe.learner
    return map_in_chunks(lambda p, rows, _: learner.statistics(p, rows, present), params, x)


@torch.no_grad()
def weighted_risk(
    recipe: Recipe,
    params: Params,
    x: Float[Tensor, "R B d"],
    y: Num[Tensor, "R B"],
    weights: Float64[Tensor, "R B"],
    present: frozenset[str],
    statistics: Mapping[str, Tensor] | None,
) -> Float64[Tensor, " R"]:
    """Weighted mean error per replica."""
    out = predict(recipe, params, x, present, statistics)
    return (recipe.target.error(out.double(), y.double()) * weights).sum(1)


@torch.no_grad()
def evaluate(
    recipe: Recipe,
    data: StackData,
    index: Sequence[int],
    params: Params,
    present: frozenset[str],
    probe: Probe | None,
    step: Int[Tensor, " R"],
) -> list[Evaluation]:
    """Test risk and probes of the replicas ``index``, whose parameters are given in that order.

    ``step`` are the optimizer steps that they have taken.

    Replicas of one seed share its test rows, so the work goes seed by seed.
    """
    results: list[Evaluation] = [{} for _ in index]
    for seed in sorted({data.seed_index[i] for i in index}):
        members = [k for k, i in enumerate(index) if data.seed_index[i] == seed]
        ((target, draw),) = split_by_target(recipe.target, data.draws.select([seed]))
        member_params = {name: p[members] for name, p in params.items()}
        progress = Progress(data.rows_trained_on([index[k] for k in members]), step[members])
        measured = _evaluate_seed(recipe, target, draw, member_params, present, probe, progress)
        for k, member in enumerate(members):
            results[member] = {name: float(values[k]) for name, values in measured.items()}
    return results


def _evaluate_seed(
    recipe: Recipe,
    target: Target,
    draw: Draw,
    params: Params,
    present: frozenset[str],
    probe: Probe | None,
    progress: Progress,
) -> dict[str, Tensor]:
    """Name → (R,) for R networks on the test rows of one seed."""
    replicas = len(next(iter(params.values())))
    rows = torch.arange(recipe.test, device=recipe.device).unsqueeze(0)
    x, y = sample(draw, "test", rows)
    centre: Mapping[str, Tensor] = {}
    if recipe.learner.needs_reference:
        reference = draw.encode(draw.inputs("reference", rows)).expand(replicas, -1, -1)
        centre = centring_constants(recipe, params, reference, present)
    out = predict(recipe, params, x.expand(replicas, -1, -1), present, centre)
    risk = target.error(out.double(), y.double()).mean(1).cpu() / draw.chance
    if probe is None:
        return {"risk": risk}
    replicated = draw.select([0] * replicas)
    measured = probe.measure_training(target, replicated, recipe.learner, params, present, progress)
    return {"risk": risk, **measured}
