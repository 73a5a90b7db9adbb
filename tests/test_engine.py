"""The fused loop against a plain loop over one replica at a time, written here with torch.optim on
plain parameters; then what a stack promises: independence of its members, resumption bit for bit,
no waiting for the device."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import training as training_benchmark
from bfc import random
from bfc.engine import data as engine_data
from bfc.engine.data import StackData
from bfc.engine.recipe import Recipe
from bfc.engine.state import State
from bfc.engine.trainer import Trainer, train
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.base import Optimizer
from bfc.optimizers.sgd import SGD
from bfc.probes.feature_error import FeatureError
from bfc.schedules import Phase, Schedule
from bfc.stats.outcomes import classify_rows
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.tasks.regression import Regression
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


def same_record(got: dict[str, Any], want: dict[str, Any], tolerance: float = 1e-9) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        if isinstance(value, float):
            assert got[name] == pytest.approx(value, rel=tolerance, abs=tolerance, nan_ok=True), (
                name
            )
        elif isinstance(value, list):
            assert [step for step, _ in got[name]] == [step for step, _ in value]
            assert [risk for _, risk in got[name]] == pytest.approx(
                [risk for _, risk in value], rel=tolerance
            )
        else:
            assert got[name] == value, name


def same_params(got: dict[str, Tensor], want: dict[str, Tensor], tolerance: float = 1e-9) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        torch.testing.assert_close(
            got[name],
            value,
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


# ---- fused equals plain ------------------------------------------------------------------------


def test_every_learner_schedule_and_optimizer_equals_the_plain_loop(
    build, node, every_fit, every_optimizer
):
    learner, target, schedule = every_fit
    small = {"d": 6} if "d" in node("target", target) else {}
    recipe = replace(
        RECIPE,
        learner=build("learner", learner),
        target=build("target", target, **small),
        schedule=build("schedule", schedule, steps=12, check_every=5),
        optimizer=build("optimizer", every_optimizer, batch=16, warmup=3),
    )
    if target == "images":
        pytest.skip(
            "its risk counts errors, which a rounding can move; test_resnet and test_conv_resnet "
            "compare steps with torch.nn"
        )
    total = sum(stage.steps for stage in recipe.stages())
    if total > 50:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=max(4, 12 * 48 // total)))
    equals_plain(recipe, TRAININGS)


class Optional(QuadraticDenseNet):
    """A learner with every optional part of the contract."""

    def rates(self, target):
        return {"bias": 3.0, "K3_2": 0.1}

    def penalties(self, target):
        return ("decay",)

    def penalty(self, params, present, weights):
        if "decay" not in weights:
            return None
        return weights["decay"] * params["K2_0"].square().sum((1, 2))

    def begin(self, params, draw, stage):
        return {"K3_0": 0.5 * params["K3_0"]} if stage.name == "level3" else {}

    def project(self, params):
        params["K2_0"].clamp_(-0.4, 0.4)


PENALISED = replace(STAGED, phases=(replace(STAGED.phases[0], penalties={"decay": 0.1}),))
UNTIL = replace(STAGED, steps=24, phases=(replace(STAGED.phases[0], until=0.9),))


@pytest.mark.parametrize(
    "optimizer",
    [Adam(lr=0.05, batch=16, warmup=3), SGD(lr=0.1, batch=16, warmup=3, momentum=0.9)],
    ids=["adam", "sgd"],
)
@pytest.mark.parametrize(
    "schedule", [STAGED, PENALISED, UNTIL], ids=["staged", "penalised", "until"]
)
def test_the_optional_parts_of_a_learner_equal_the_plain_loop(schedule, optimizer):
    records = equals_plain(
        replace(RECIPE, learner=Optional(), schedule=schedule, optimizer=optimizer), TRAININGS
    )
    plain = equals_plain(replace(RECIPE, schedule=schedule, optimizer=optimizer), TRAININGS)
    assert [r["risk"] for r in records] != [r["risk"] for r in plain]


def test_a_phase_ends_where_the_training_loss_is_low_enough():
    recipe = replace(
        RECIPE,
        schedule=replace(UNTIL, steps=400, check_every=20),
        optimizer=Adam(lr=0.05, batch=32, warmup=3),
    )
    (record,) = train(recipe, [Training(2000, 0)])
    assert record["steps"] < 800 and record["steps"] % 20 == 0 and record["level2/risk"] < 1.2


def test_label_noise_is_seen_by_training_and_not_by_the_judge():
    noisy = Regression(noise=0.5).wrap(TARGET)
    equals_plain(replace(RECIPE, target=noisy), TRAININGS)
    draw, rows = noisy.draw([0, 1], torch.float64), torch.arange(20_000).expand(2, -1)
    for role in ("train", "validation", "test"):
        x = draw.inputs(role, rows)
        noise = draw.observe(role, rows, x) - draw.labels(x)
        want = 0.0 if role == "test" else 0.5
        torch.testing.assert_close(noise.std(1), want * draw.variance.sqrt(), rtol=0.03, atol=0)
    again = draw.select([1])
    assert torch.equal(
        again.observe("train", rows[:1, :50], again.inputs("train", rows[:1, :50]))[0],
        draw.observe("train", rows[:, :50], draw.inputs("train", rows[:, :50]))[1],
    )


def test_the_probe_looks_on_the_way_and_changes_nothing():
    plain = train(replace(RECIPE, probe=FeatureError(rows=256)), TRAININGS)
    looked = train(replace(RECIPE, probe=FeatureError(rows=256, num_evals=6)), TRAININGS)
    for record, without in zip(looked, plain, strict=True):
        trace = record.pop("trace")
        same_record(record, without)
        assert [look["step"] for look in trace] == [0, 1, 2, 5, 11, 24]
        assert trace[0]["stage"] == "level2" and trace[-1]["stage"] == "level3"
        assert (
            trace[0]["gram/2"] == trace[0]["gram/2"]
            and math.isnan(trace[0]["gram/3"])
            and trace[0]["risk"] != trace[-1]["risk"]
        )


SCENARIOS = {
    "fresh data": ({"validation": "none"}, (Training(0, 0), Training(0, 1))),
    "no validation": ({"validation": "none"}, TRAININGS),
    "free validation": ({"validation": "free", "validation_size": 7}, TRAININGS),
    "one held out": (
        {"validation_size": 0.01},
        (Training(2, 0), Training(30, 0), Training(2000, 3)),
    ),
    "most held out": ({"validation_size": 0.9}, TRAININGS),
    "no clip, no warm-up": ({"optimizer": Adam(lr=0.01, batch=8, warmup=0, clip=None)}, TRAININGS),
    "tight clip, momentum": (
        {"optimizer": SGD(lr=0.3, batch=8, warmup=2, clip=0.05, momentum=0.9)},
        TRAININGS,
    ),
    "constant rate": (
        {"optimizer": SGD(lr=0.02, batch=8, warmup=5, decay="constant", momentum=0.5)},
        TRAININGS,
    ),
    "other moments": (
        {"optimizer": Adam(lr=0.02, batch=8, warmup=2, betas=(0.5, 0.8), eps=1e-2)},
        TRAININGS,
    ),
    "warm-up to the last step": ({"optimizer": Adam(lr=0.02, batch=8, warmup=11)}, TRAININGS),
    "epochs": ({"optimizer": Adam(lr=0.02, batch=9, warmup=2, sampling="epochs")}, TRAININGS),
    "epochs, a batch above n": (
        {"optimizer": Adam(lr=0.02, batch=100, warmup=2, sampling="epochs")},
        TRAININGS,
    ),
    "a batch above n": ({"optimizer": Adam(lr=0.02, batch=100, warmup=2)}, TRAININGS),
    "longer": ({"longer": 2, "schedule": replace(STAGED, steps=10)}, TRAININGS),
    "trained scales": ({"learner": QuadraticDenseNet(alpha="trained", widths=(4, 3))}, TRAININGS),
    "paper's base, dense": (
        {"target": Teacher(d=4, L=3, widths=(3, 2), base="x_squared", links="dense")},
        TRAININGS,
    ),
    "depth 4": ({"target": Teacher(d=4, L=4, widths=(3, 2, 2))}, TRAININGS),
    "one step per check": ({"schedule": replace(LAYERWISE, check_every=1, steps=8)}, TRAININGS),
    "no check before the end": ({"schedule": replace(STAGED, check_every=1000)}, TRAININGS),
    "one replica": ({}, TRAININGS[:1]),
}


@pytest.mark.parametrize("changes, trainings", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_scenarios_equal_the_plain_loop(changes, trainings):
    equals_plain(replace(RECIPE, **changes), trainings)


def test_every_replica_has_its_own_rate():
    rates = torch.tensor([0.001, 0.01, 0.1, 0.3], dtype=torch.float64)
    same = [Training(40, 3)] * 4
    records = equals_plain(
        replace(RECIPE, optimizer=SGD(lr=123.0, batch=16, warmup=3)), same, rates
    )
    assert len({record["risk"] for record in records}) == 4


def test_what_counts_as_an_improvement_is_said_by_the_schedule():
    class NeverImproves(Schedule):
        def has_improved(self, risk: Tensor, best: Tensor) -> Tensor:
            return torch.zeros_like(risk, dtype=torch.bool)

    keys = {f.name: getattr(RECIPE.schedule, f.name) for f in fields(RECIPE.schedule)}
    schedule = NeverImproves(**{**keys, "patience": 2})
    recipe = replace(RECIPE, schedule=schedule, validation="inside")
    for record in train(recipe, [Training(20, 0), Training(40, 1)]):
        phases = len(recipe.stages())
        assert record["steps"] == 2 * schedule.check_every * phases < recipe.total_steps()
        assert record["validation_risk"] == float("inf")


@pytest.mark.parametrize("patience", [1, 2])
def test_an_early_stop_moves_only_its_own_replica_on(patience):
    """Replicas that stop wait for the phase of the others to end and then go on from their best;
    each as it would alone."""
    recipe = replace(
        RECIPE,
        schedule=replace(STAGED, steps=24, check_every=2, patience=patience),
        optimizer=SGD(lr=0.4, batch=8, warmup=1),
    )
    trainings = [Training(n, seed) for seed in range(4) for n in (8, 200)]
    records = equals_plain(recipe, trainings)
    assert len({record["steps"] for record in records}) > 3 and any(
        record["steps"] < 48 for record in records
    )


def test_the_best_of_every_phase_is_restored():
    """Some training ends worse than it was: then the final parameters are those of the step with
    the lowest validation risk."""
    recipe = replace(
        RECIPE,
        schedule=replace(STAGED, check_every=1),
        optimizer=SGD(lr=0.5, batch=4, warmup=1, decay="constant"),
    )
    _, state = fused(recipe, TRAININGS)
    behind = 0
    for i, training in enumerate(TRAININGS):
        path = plain_train(recipe, training).path
        gaps = [
            max(float((step[name] - p[i]).abs().max()) for name, p in state.params.items())
            for step in path[12:]
        ]
        assert min(gaps) < 1e-9
        behind += gaps.index(min(gaps)) < len(gaps) - 1
    assert behind > 0


def test_observations_equal_the_plain_loop():
    recipe = replace(
        RECIPE,
        validation="none",
        observe=(1, 4, 12, 13, 24),
        optimizer=SGD(lr=0.05, batch=16, warmup=3, decay="constant"),
    )
    for trainings in ((Training(0, 0), Training(0, 1)), TRAININGS):
        records = equals_plain(recipe, trainings)
        assert [step for step, _ in records[0]["curve"]] == [1, 4, 12, 13, 24]
        assert (
            records[0]["curve"][-1][1] == records[0]["risk"]
            and records[0]["curve"][2][1] == records[0]["level2/risk"]
        )


def test_clipping_is_that_of_torch_up_to_its_guard():
    """torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm; apart from that the same."""
    for scale in (0.1, 10.0):
        grad = scale * torch.randn(
            1, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        flat, want = (
            torch.zeros(1, 50, dtype=torch.float64),
            nn.Parameter(torch.zeros(50, dtype=torch.float64)),
        )
        SGD(lr=1.0).step(flat, grad, {}, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1))
        want.grad = grad[0].clone()
        torch.nn.utils.clip_grad_norm_([want], 1.0)
        torch.testing.assert_close(-flat[0], want.grad, rtol=1e-5, atol=1e-9)


def test_the_base_optimizer_is_refused():
    with pytest.raises(TypeError, match="abstract"):
        Optimizer()


# ---- members of a stack ------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [STAGED, LAYERWISE], ids=["staged", "layerwise"])
def test_a_training_does_not_depend_on_its_stack(schedule):
    """Alone, in pairs, in another order, twice: the same records and parameters."""
    recipe = replace(RECIPE, schedule=schedule, probe=FeatureError(256))
    records, state = fused(recipe, TRAININGS)
    for index in ([0], [3], [1, 2], [3, 2, 1, 0], [2, 2, 0]):
        again, other = fused(recipe, [TRAININGS[i] for i in index])
        for k, i in enumerate(index):
            same_record(again[k], records[i])
            same_params(
                {name: p[k] for name, p in other.params.items()},
                {name: p[i] for name, p in state.params.items()},
            )


def test_probes_are_taken_at_the_end_of_every_phase():
    recipe = replace(RECIPE, probe=FeatureError(256))
    records, state = fused(recipe, TRAININGS)
    assert math.isnan(records[0]["level2/gram/3"]) and records[0]["level2/gram/2"] > 0
    for i, training in enumerate(TRAININGS):
        draw = TARGET.draw([training.seed], torch.float64)
        want = recipe.probe.measure(
            TARGET,
            draw,
            recipe.learner,
            {name: p[i : i + 1] for name, p in state.params.items()},
            recipe.stages()[-1].present,
        )
        for name, value in want.items():
            assert records[i][f"level3/{name}"] == pytest.approx(float(value), rel=1e-9)


@pytest.mark.parametrize(
    "optimizer",
    [Adam(lr=0.01, batch=16, warmup=3), SGD(lr=0.05, batch=16, warmup=3, clip=None)],
    ids=["adam", "sgd"],
)
@pytest.mark.parametrize("n", [0, 40])
def test_a_replica_that_blows_up_leaves_the_others_alone(optimizer, n):
    recipe = replace(
        RECIPE,
        optimizer=optimizer,
        validation="inside" if n else "none",
        probe=FeatureError(256),
        observe=(3, 9, 24),
    )
    trainings = [Training(n, seed) for seed in (0, 1, 2)]
    rates = torch.tensor([optimizer.lr, 1e150, optimizer.lr], dtype=torch.float64)
    records, state = fused(recipe, trainings, rates=rates)
    calm, other = fused(recipe, [trainings[0], trainings[2]])
    for i, k in ((0, 0), (2, 1)):
        same_record(records[i], calm[k], 1e-12)
        same_params(
            {name: p[i] for name, p in state.params.items()},
            {name: p[k] for name, p in other.params.items()},
            1e-12,
        )
        assert classify_rows([records[i]], 0.999)[0] != "diverged"
    lost = records[1]
    assert (
        lost["diverged"]
        and math.isnan(lost["risk"])
        and math.isnan(lost["train_risk"])
        and lost["stage"] == "level2"
    )
    assert classify_rows([lost], 0.5)[0] == "diverged"


def test_a_finite_explosion_counts_as_diverged():
    recipe = replace(
        RECIPE,
        schedule=replace(STAGED, steps=2, check_every=1),
        optimizer=SGD(lr=30.0, batch=16, warmup=0, decay="constant"),
    )
    record = train(recipe, [Training(40, 0)])[0]
    assert 10 < record["train_risk"] < math.inf and record["diverged"] and record["steps"] == 4


def test_parameters_outside_the_trained_groups_are_frozen():
    """Layer-wise: bit for bit before and after their phase; all that trains does move."""
    recipe = replace(
        RECIPE,
        schedule=replace(LAYERWISE, phases=(*LAYERWISE.phases, Phase(("readout2",), "last"))),
        validation="none",
    )
    groups = recipe.learner.groups(TARGET)
    start = recipe.learner.init_params(
        TARGET, TARGET.draw([t.seed for t in TRAININGS], torch.float64)
    )
    seen = [start]
    fused(
        recipe,
        TRAININGS,
        on_chunk=lambda state, done, total: seen.append(
            {name: p.clone() for name, p in state.params.items()}
        ),
    )
    stages = [stage for stage in recipe.stages() for _ in range(3)]
    assert len(seen) == 1 + len(stages)
    for before, after, stage in zip(seen[:-1], seen[1:], stages, strict=True):
        trained = {name for group in stage.train for name in groups[group]}
        for name in start:
            assert torch.equal(before[name], after[name]) != (name in trained), (stage.name, name)


# ---- resuming ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "schedule": replace(STAGED, steps=24, check_every=2, patience=1),
            "optimizer": SGD(lr=0.4, batch=8, warmup=1, momentum=0.9),
        },
        {
            "validation": "none",
            "observe": (2, 9, 13),
            "probe": FeatureError(128),
            "dtype": torch.float32,
        },
    ],
    ids=["staged", "patience", "observed"],
)
def test_resuming_repeats_the_rest_bit_for_bit(changes):
    recipe, saved = replace(RECIPE, **changes), []
    rates = torch.tensor([0.02, 0.05, 1e200, 0.03], dtype=torch.float64)

    def save(state: State, done: int, total: int) -> None:
        buffer = io.BytesIO()
        torch.save(state.tensors(), buffer)
        saved.append((buffer.getvalue(), done, total))

    records, state = fused(recipe, TRAININGS, rates=rates, on_chunk=save)
    assert any(record["diverged"] for record in records) and not all(
        record["diverged"] for record in records
    )
    done = [d for _, d, _ in saved]
    total = sum(stage.steps for stage in recipe.stages()) * len(TRAININGS)
    assert (
        done == sorted(done)
        and done[-1] == total
        and {t for _, _, t in saved} == {total}
        and len(saved) >= 4
    )
    for content, *_ in saved[:-1]:
        again, other = fused(
            recipe,
            TRAININGS,
            rates=rates,
            resume=torch.load(io.BytesIO(content), weights_only=True),
        )
        assert repr(again) == repr(records)
        for name, p in state.params.items():
            assert torch.equal(p.nan_to_num(7.0), other.params[name].nan_to_num(7.0))
    finished = torch.load(io.BytesIO(saved[-1][0]), weights_only=True)
    assert repr(train(recipe, list(TRAININGS), rates=rates, resume=finished)) == repr(records)


# ---- data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("validation, size", [("inside", 0.25), ("free", 9)])
def test_regenerated_rows_equal_the_stored_pool(monkeypatch, validation, size):
    recipe = replace(RECIPE, validation=validation, validation_size=size)
    stored, state = fused(recipe, TRAININGS)
    monkeypatch.setattr(engine_data, "POOL_BYTES", 0)
    assert (
        StackData(TARGET, TRAININGS, validation, size, torch.float64, torch.device("cpu")).pool
        is None
    )
    again, other = fused(recipe, TRAININGS)
    for i in range(len(TRAININGS)):
        same_record(again[i], stored[i], 1e-11)
    same_params(other.params, state.params, 1e-11)


def test_batches_stay_below_n_and_the_held_out_rows_above(monkeypatch):
    """Rows are told apart by their inputs: training sees rows below n - held, validation the rest,
    both nothing else."""
    data = StackData(TARGET, TRAININGS, "inside", 0.25, torch.float64, torch.device("cpu"))
    index = list(range(len(TRAININGS)))
    fit, held = [15, 45, 25, 45], [5, 15, 8, 15]
    assert data.n_fit.tolist() == fit and data.n_validation.tolist() == held
    monkeypatch.setattr(engine_data, "ROWS_AHEAD", 4 * 64 * 7)
    batches = list(data.batches(index, 64, torch.arange(4), 30))
    for t, replica in ((0, 0), (29, 3), (8, 2)):
        (alone,) = data.batches([replica], 64, torch.tensor([replica + t]), 1)
        assert torch.equal(alone[0][0], batches[t][0][replica]) and torch.equal(
            alone[1][0], batches[t][1][replica]
        )
    x_held, y_held, w_held = data.validation(index)
    x_train, y_train, w_train = data.training_rows(index, 40)
    for i, training in enumerate(TRAININGS):
        pool = (
            TARGET.draw([training.seed], torch.float64)
            .inputs("train", torch.arange(100).unsqueeze(0))[0]
            .tolist()
        )
        number = {tuple(row): k for k, row in enumerate(pool)}
        assert {number[tuple(row)] for x, _ in batches for row in x[i].tolist()} == set(
            range(fit[i])
        )
        for x, y, weights, want in (
            (x_held, y_held, w_held, range(fit[i], training.n)),
            (x_train, y_train, w_train, range(min(40, fit[i]))),
        ):
            used = weights[i] > 0
            assert [number[tuple(row)] for row in x[i][used].tolist()] == list(want)
            torch.testing.assert_close(
                weights[i][used], torch.full((len(want),), 1 / len(want), dtype=torch.float64)
            )
            torch.testing.assert_close(data.draw([i]).labels(x[i : i + 1])[0], y[i])


def test_fresh_rows_never_repeat_and_do_not_depend_on_the_batch():
    data = StackData(TARGET, [Training(0, 4)], "none", 0.0, torch.float64, torch.device("cpu"))
    small = torch.cat([x[0] for x, _ in data.batches([0], 8, torch.tensor([0]), 6)])
    large = torch.cat([x[0] for x, _ in data.batches([0], 16, torch.tensor([0]), 3)])
    assert torch.equal(small, large) and len(small.unique(dim=0)) == 48


def test_fresh_and_pooled_do_not_mix():
    with pytest.raises(ValueError, match="either fresh or pooled"):
        train(RECIPE, [Training(0, 0), Training(20, 0)])


# ---- the device is never waited for ------------------------------------------------------------


class _Waits(TorchDispatchMode):
    """Names of operations that need a value on the host, or a shape that depends on one."""

    NEEDS_A_VALUE = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "equal",
        "is_nonzero",
        "_unique2",
        "unique",
        "item",
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in self.NEEDS_A_VALUE:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes, trainings",
    [
        ({}, TRAININGS),
        ({"optimizer": SGD(momentum=0.9, batch=8, warmup=2)}, TRAININGS),
        ({"validation": "none"}, [Training(0, 0), Training(0, 1)]),
    ],
    ids=["adam", "sgd", "fresh"],
)
def test_no_step_waits_for_the_device(monkeypatch, changes, trainings):
    recipe = replace(RECIPE, **changes)
    train(recipe, list(trainings))  # fills caches of constants
    chunk, counts = Trainer.train_chunk, []

    def watched(self, index, stage, length):
        calls = []
        with monkeypatch.context() as patch:
            for original in (Tensor.tolist, Tensor.numpy, Tensor.cpu):

                def noted(*args, original=original, **kwargs):
                    calls.append(original.__name__)
                    return original(*args, **kwargs)

                patch.setattr(Tensor, original.__name__, noted)
            with _Waits() as waits:
                chunk(self, index, stage, length)
        counts.append((length, waits.found + calls))

    monkeypatch.setattr(Trainer, "train_chunk", watched)
    train(recipe, list(trainings))
    assert max(length for length, _ in counts) == 5
    assert all(not found for _, found in counts), counts


def test_the_watch_sees_what_it_looks_for():
    with _Waits() as waits:
        t = torch.arange(3)
        bool(t[0] > 0), t[1].item(), t.nonzero(), t[t > 1]
    assert waits.found.count("_local_scalar_dense") == 2 and "nonzero" in waits.found


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize(
    "trainings", [TRAININGS, (Training(0, 0), Training(0, 1))], ids=["pooled", "fresh"]
)
def test_a_gpu_gives_the_same_numbers(trainings):
    recipe = replace(
        RECIPE, validation="inside" if trainings[0].n else "none", probe=FeatureError(256)
    )
    records, state = fused(recipe, trainings)
    on_gpu, other = fused(replace(recipe, device=torch.device("cuda")), trainings)
    for i in range(len(trainings)):
        same_record(on_gpu[i], records[i], 1e-7)
    same_params({name: p.cpu() for name, p in other.params.items()}, state.params, 1e-7)


# ---- the benchmark -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", training_benchmark.CASES)
def test_the_benchmark_compares_equals(case):
    """The plain loop, vmap and, where it is installed, JAX train what the stack trains."""
    training_benchmark.agree(training_benchmark.CASES[case])


def test_the_benchmark_prints_ratios_and_aims(tmp_path, capsys):
    training_benchmark.main(
        [
            "--seconds",
            "0.02",
            "--rounds",
            "1",
            "--replicas",
            "1",
            "3",
            "--cases",
            "tiny",
            "--json",
            str(tmp_path),
        ]
    )
    (file,) = tmp_path.iterdir()
    found = json.loads(file.read_text())["training"]
    rows = found["figures"]["tiny"]["rows"]
    assert [row["replicas"] for row in rows] == [1, 3]
    assert all(row["stack_over_loop"] == pytest.approx(row["stack"] / row["loop"]) for row in rows)
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("tiny perceptron, stack / plain loop: ") and line.endswith(("met", "short"))
        for line in lines
    )
    assert found["machine"]["hardware"] and all(
        aim["met"] == (aim["figure"] >= aim["aim"]) for aim in found["aims"]
    )


# ---- the chain of backward feature correction --------------------------------------------------


def test_the_chain_of_backward_feature_correction(build):
    """The figures of the notes (2.1: d = 32, L = 4, fresh data, defaults of the YAMLs) on 8 seeds:
    Gram error of level 2 falls as levels 3 and 4 arrive; strict layer-wise stays biased, refitted
    read-outs help, only training together gets there."""
    target = Teacher(d=32, L=4, widths=(4, 3, 2), alpha=(1.0, 0.5, 0.25))
    final, gram = {}, {}
    for name in ("staged", "layerwise", "refit"):
        recipe = Recipe(
            target,
            QuadraticDenseNet(),
            build("schedule", name),
            build("optimizer", "adam"),
            probe=FeatureError(),
        )
        records = train(recipe, [Training(0, seed) for seed in range(8)])
        final[name] = torch.tensor([record["risk"] for record in records]).median()
        gram[name] = torch.tensor(
            [[record[f"level{level}/gram/2"] for level in (2, 3, 4)] for record in records]
        )
    assert float(final["staged"]) <= 0.001
    assert 0.03 <= float(final["layerwise"]) <= 0.05
    assert 0.003 <= float(final["refit"]) <= 0.009
    falls = gram["staged"][:, :-1] / gram["staged"][:, 1:]
    assert bool((falls > torch.tensor([4.0, 1.5])).all())
    assert bool((gram["staged"][:, 0] > 0.3).all()) and bool(
        (gram["layerwise"] == gram["layerwise"][:, :1]).all()
    )
