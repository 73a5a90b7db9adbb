"""A plain training loop over one replica at a time, which the fused stack must equal.

It is written with torch.optim on plain parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bfc import random
from bfc.engine.recipe import Recipe
from bfc.engine.state import State
from bfc.engine.trainer import train
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.schedules import Phase, Schedule
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

TARGET = Teacher(d=5, L=3, widths=(3, 2))
STAGED = Schedule(
    (Phase(("level{2..l}", "bias"), "level{l}", "level"),), "staged", steps=12, check_every=5
)
LAYERWISE = replace(STAGED, phases=(Phase(("level{l}", "bias"), "level{l}", "level"),))
RECIPE = Recipe(
    TARGET,
    QuadraticDenseNet(),
    STAGED,
    Adam(lr=0.03, batch=16, warmup=3),
    "inside",
    0.25,
    test=256,
    dtype=torch.float64,
)
TRAININGS = (Training(20, 0), Training(60, 1), Training(33, 0), Training(60, 2**40))


# ---- the plain loop ----------------------------------------------------------------------------


def plain_forward(
    learner: Any,
    target: Any,
    params: dict[str, Tensor],
    x: Tensor,
    present: frozenset[str],
    centre: dict[str, Tensor] | None,
) -> Tensor:
    """Outputs (B,) of one replica. The quadratic network is written out; a learner that is not
    written out here runs as a stack of one."""
    if type(learner) is not QuadraticDenseNet:
        stacked = (
            None if centre is None else {name: value.unsqueeze(0) for name, value in centre.items()}
        )
        return learner.forward(
            {name: p.unsqueeze(0) for name, p in params.items()}, x.unsqueeze(0), present, stacked
        )[0]
    u, out = {0: x, 1: (x * x - 1) / math.sqrt(2)}, params["bias"].expand(len(x))
    for level in (level for level in target.levels if f"level{level}" in present):
        s = sum(u[j] @ params[f"K{level}_{j}"].T for j in target.below(level))
        p = s.shape[1]
        products = torch.stack([s[:, i] * s[:, j] for i in range(p) for j in range(i, p)], 1)
        mean = products.mean(0) if centre is None else centre[f"phi{level}"].squeeze(-1)
        u[level] = products - mean
        if f"readout{level}" in present:
            out = out + u[level] @ params[f"Q{level}"]
        else:
            squares = [
                k
                for k, (i, j) in enumerate((i, j) for i in range(p) for j in range(i, p))
                if i == j
            ]
            out = out + params[f"scale{level}"] * u[level][:, squares].sum(1)
    return out


@dataclass
class Plain:
    """One training by torch.optim: its record, and its parameters at the end and at every step."""

    record: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Tensor] = field(default_factory=dict)
    path: list[dict[str, Tensor]] = field(default_factory=list)


class StackOfOne(torch.optim.Optimizer):
    """An optimizer that torch does not have, applied to one parameter after the other.

    Its update rule has a test of its own in ``test_optimizers.py``.
    """

    def __init__(self, settings: Optimizer, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr})
        self.rule = replace(settings, clip=None)
        self.clock = 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if not self.state[p]:
                    shape = (1, p.numel())
                    self.state[p] = {name: p.new_zeros(shape) for name in self.rule.state_names}
                rate = p.new_full((1, 1), group["lr"])
                clock = torch.full((1, 1), self.clock)
                self.rule.step(p.view(1, -1), p.grad.view(1, -1), self.state[p], rate, clock)
        self.clock += 1


def torch_optimizer(
    settings: Optimizer, groups: list[dict[str, Any]], lr: float
) -> torch.optim.Optimizer:
    """The optimizer of the same name in torch, else the optimizer itself on a stack of one."""
    cls = getattr(torch.optim, type(settings).__name__, None)
    if cls is None:
        return StackOfOne(settings, groups, lr)
    names = ("betas", "eps", "momentum", "weight_decay")
    options = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    return cls(groups, lr=lr, **options)


def plain_train(recipe: Recipe, training: Training, lr: float | None = None) -> Plain:
    target, learner, schedule, settings = (
        recipe.target,
        recipe.learner,
        recipe.schedule,
        recipe.optimizer,
    )
    draw = target.draw([training.seed], recipe.dtype)

    def read(role: str, numbers: Tensor) -> tuple[Tensor, Tensor]:
        x = draw.inputs(role, numbers.unsqueeze(0))
        return draw.encode(x)[0], draw.observe(role, numbers.unsqueeze(0), x)[0]

    n_held = (
        max(1, round(recipe.validation_size * training.n))
        if recipe.validation == "inside" and training.n
        else 0
    )
    n_fit = training.n - n_held
    x_pool, y_pool = read("train", torch.arange(max(training.n, 1)))
    held = (x_pool[n_fit:], y_pool[n_fit:])
    if recipe.validation == "free":
        held = read("validation", torch.arange(int(recipe.validation_size)))
    batch_key = random.keys([training.seed], "batch")
    module = nn.ParameterDict(
        {name: nn.Parameter(p[0].clone()) for name, p in learner.init_params(target, draw).items()}
    )
    params = dict(module.items())
    groups, result, step = learner.groups(target), Plain(), 0

    def risk(x: Tensor, y: Tensor, present: frozenset[str], rows: int = 4096) -> float:
        with torch.no_grad():
            centre = None
            if learner.needs_reference:
                reference = draw.encode(
                    draw.inputs("reference", torch.arange(min(rows, recipe.test)).unsqueeze(0))
                )
                stacked = {name: p.unsqueeze(0) for name, p in params.items()}
                centre = {
                    name: value[0]
                    for name, value in learner.statistics(stacked, reference, present).items()
                }
            return float(
                target.error(plain_forward(learner, target, params, x, present, centre), y).mean()
                / draw.chance[0]
            )

    def test_risk(present: frozenset[str]) -> float:
        return risk(*read("test", torch.arange(recipe.test)), present, recipe.test)

    multipliers = learner.rates(target)
    for stage in recipe.stages():
        with torch.no_grad():
            for name, p in learner.on_phase_start(
                {name: p.unsqueeze(0) for name, p in params.items()}, draw, stage
            ).items():
                params[name].copy_(p[0])
        trained = [params[name] for group in stage.train for name in groups[group]]
        base = settings.lr if lr is None else lr
        ones = [
            {"params": [params[name]], "lr": base * multipliers.get(name, 1.0)}
            for group in stage.train
            for name in groups[group]
        ]
        optimizer = torch_optimizer(settings, ones, base)

        def factor(t: int, steps: int = stage.steps) -> float:
            if t < settings.warmup:
                return (t + 1) / settings.warmup
            turn = (
                0.0
                if settings.decay == "constant"
                else math.pi * (t - settings.warmup) / (steps - settings.warmup)
            )
            return 0.5 * (1 + math.cos(turn))

        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        best, best_risk, lowest, stale, losses = None, math.inf, math.inf, 0, []
        for clock in range(1, stage.steps + 1):
            count = step * settings.batch + torch.arange(settings.batch)
            if training.n == 0:
                x, y = read("train", count)
            else:
                chosen = (
                    count % n_fit
                    if settings.sampling == "epochs"
                    else random.integers(batch_key, count, torch.tensor(n_fit))
                )
                x, y = x_pool[chosen], y_pool[chosen]
            optimizer.zero_grad(set_to_none=False)
            loss = target.loss(
                plain_forward(learner, target, params, x, stage.present, None), y
            ).mean()
            losses.append(loss.item() / float(draw.chance[0]))
            penalty = learner.penalty(
                {name: p.unsqueeze(0) for name, p in params.items()}, stage.present, stage.penalties
            )
            (loss if penalty is None else loss + penalty.sum()).backward()
            for p in trained:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
            if (
                settings.clip is not None
            ):  # clip_grad_norm_ divides by norm + 1e-6, which 50 steps at 1e-9 would show
                norm = torch.nn.utils.get_total_norm([p.grad for p in trained])
                for p in trained:
                    p.grad *= settings.clip / max(settings.clip, float(norm))
            optimizer.step()
            with torch.no_grad():
                learner.project({name: p.unsqueeze(0) for name, p in params.items()})
            if clock < stage.steps:
                rates.step()
            step += 1
            result.path.append({name: p.detach().clone() for name, p in params.items()})
            if clock % schedule.check_every == 0 or clock == stage.steps:
                if training.n:
                    first = min(n_fit, 1024)
                    lowest = min(lowest, risk(x_pool[:first], y_pool[:first], stage.present))
                if len(held[0]) and training.n:
                    now = risk(*held, stage.present)
                    stale = 0 if now < best_risk else stale + 1
                    if now < best_risk:
                        best, best_risk = (
                            {name: p.detach().clone() for name, p in params.items()},
                            now,
                        )
            if step in recipe.observe:
                result.record.setdefault("curve", []).append((step, test_risk(stage.present)))
            checked = clock % schedule.check_every == 0
            bar = (
                stage.until
                if stage.gap is None
                else stage.until * target.gaps[stage.gap] / float(draw.chance[0])
            )
            low = (
                checked
                and stage.until is not None
                and sum(losses[-schedule.check_every :]) / schedule.check_every <= bar
            )
            if low or (schedule.patience and stale >= schedule.patience):
                break
        if best is not None:
            with torch.no_grad():
                for name, p in params.items():
                    p.copy_(best[name])
        final = test_risk(stage.present)
        train_risk = final if training.n == 0 else lowest
        result.record |= {
            f"{stage.name}/risk": final,
            "risk": final,
            "train_risk": train_risk,
            "stage": stage.name,
            "validation_risk": best_risk,
            "steps": step,
            "variance_error": 0.0,
            "diverged": train_risk > 10,
        }
    result.params = {name: p.detach() for name, p in params.items()}
    return result


# ---- helpers -----------------------------------------------------------------------------------


def fused(recipe: Recipe, trainings: Any, **kwargs: Any) -> tuple[list[dict[str, Any]], State]:
    """Records and the final state."""
    last: list[State] = []
    inner: Callable | None = kwargs.pop("on_chunk", None)

    def keep(state: State, done: int, total: int) -> None:
        last[:] = [state]
        if inner:
            inner(state, done, total)

    return train(recipe, list(trainings), on_chunk=keep, **kwargs), last[0]


def same_record(actual: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-9) -> None:
    assert set(actual) == set(expected)
    for name, expected_value in expected.items():
        if isinstance(expected_value, float):
            assert actual[name] == pytest.approx(
                expected_value, rel=tolerance, abs=tolerance, nan_ok=True
            ), name
        elif isinstance(expected_value, list):
            assert [step for step, _ in actual[name]] == [step for step, _ in expected_value]
            assert [risk for _, risk in actual[name]] == pytest.approx(
                [risk for _, risk in expected_value], rel=tolerance
            )
        else:
            assert actual[name] == expected_value, name


def same_params(
    actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9
) -> None:
    assert set(actual) == set(expected)
    for name, expected_value in expected.items():
        torch.testing.assert_close(
            actual[name],
            expected_value,
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def equals_plain(
    recipe: Recipe, trainings: Any, rates: Tensor | None = None
) -> list[dict[str, Any]]:
    records, state = fused(recipe, trainings, rates=rates)
    assert sum(stage.steps for stage in recipe.stages()) <= 50, (
        "longer runs agree in distribution only"
    )
    for i, training in enumerate(trainings):
        want = plain_train(recipe, training, None if rates is None else float(rates[i]))
        same_record(records[i], want.record)
        same_params({name: p[i] for name, p in state.params.items()}, want.params)
    return records
