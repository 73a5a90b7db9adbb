"""What a trained stack is worth: relative risk on fresh rows, and the probes. Learners that centre
do it with constants from separate unlabelled rows, so the prediction for a row is a function of
that row and no label is used twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bfc.engine.concat_target import split_by_target
from bfc.engine.data import StackData
from bfc.engine.recipe import Recipe
from bfc.types import Params, Probe, sample

ROWS = 1 << 18
"""Rows of all replicas together that a network is evaluated on at a time, so that its activations
never outgrow those of training."""
Evaluation = dict[str, float]
"""``risk`` and, with a probe, ``<what>/<level>``."""


def map_in_chunks(whole: Callable[..., Any], params: Params, x: Tensor, *given: Any) -> Any:
    """``whole(params, x, *given)`` for inputs x (R, B, input_width), few replicas at a time;
    dictionaries of tensors (R, ...) among what is given and what is returned are split and joined
    alike."""
    few = max(1, ROWS // x.shape[1])
    if len(x) <= few:
        return whole(params, x, *given)

    def part(value: Any, rows: slice) -> Any:
        return {name: v[rows] for name, v in value.items()} if isinstance(value, Mapping) else value

    found = [
        whole(part(params, rows), x[rows], *(part(value, rows) for value in given))
        for rows in (slice(i, i + few) for i in range(0, len(x), few))
    ]
    return (
        torch.cat(found)
        if isinstance(found[0], Tensor)
        else {name: torch.cat([f[name] for f in found]) for name in found[0]}
    )


@torch.no_grad()
def weighted_risk(
    recipe: Recipe,
    params: Params,
    x: Tensor,
    y: Tensor,
    weights: Tensor,
    present: frozenset[str],
    statistics: Mapping[str, Tensor] | None,
) -> Tensor:
    """Weighted mean error per replica, (R,) float64; x (R, B, input_width), y and weights (R, B)."""
    out = map_in_chunks(recipe.learner.forward, params, x, present, statistics)
    return (recipe.target.error(out.double(), y.double()) * weights).sum(1)


@torch.no_grad()
def evaluate(
    recipe: Recipe,
    data: StackData,
    index: Sequence[int],
    params: Params,
    present: frozenset[str],
    probe: Probe | None,
) -> list[Evaluation]:
    """Test risk and probes of the replicas ``index`` whose parameters are given in that order.
    Replicas of one seed share its test rows, so the work goes seed by seed."""
    results: list[Evaluation] = [{} for _ in index]
    rows = torch.arange(recipe.test, device=recipe.device).unsqueeze(0)
    for place in sorted({data.place[i] for i in index}):
        members = [k for k, i in enumerate(index) if data.place[i] == place]
        ((target, draw),) = split_by_target(recipe.target, data.draws.select([place]))
        mine = {name: p[members] for name, p in params.items()}
        x, y = sample(draw, "test", rows)
        centre: Mapping[str, Tensor] = {}
        if recipe.learner.needs_reference:
            reference = draw.encode(draw.inputs("reference", rows))
            centre = map_in_chunks(
                recipe.learner.statistics, mine, reference.expand(len(members), -1, -1), present
            )
        out = map_in_chunks(
            recipe.learner.forward, mine, x.expand(len(members), -1, -1), present, centre
        )
        risk = target.error(out.double(), y.double()).mean(1).cpu() / draw.chance
        measured: dict[str, Tensor] = {"risk": risk}
        if probe is not None:
            measured |= probe.measure(
                target, draw.select([0] * len(members)), recipe.learner, mine, present
            )
        for k, member in enumerate(members):
            results[member] = {name: float(values[k]) for name, values in measured.items()}
    return results
