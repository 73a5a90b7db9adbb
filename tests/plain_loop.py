"""A plain training loop over one replica at a time, which the fused stack must equal.

It is written with torch.optim on plain parameters.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from bfc import random
from bfc.engine.recipe import Recipe
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.base import Optimizer
from bfc.types import Stage, Training


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
        stacked = None if centre is None else stack_of_one(centre)
        return learner.forward(stack_of_one(params), x.unsqueeze(0), present, stacked)[0]
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
    """The optimizer of the same name in torch, else the optimizer itself on a stack of one.

    torch is given every field that the optimizer has beyond those of the base class, by its name.
    """
    name = type(settings).__name__
    cls = getattr(torch.optim, name, None)
    if cls is None:
        return StackOfOne(settings, groups, lr)
    shared = {f.name for f in fields(Optimizer)}
    options = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name not in shared}
    for option in options:
        assert option in inspect.signature(cls).parameters, (
            f"{name}: torch.optim.{name} knows no {option}; rename it, or map it in torch_optimizer"
        )
    return cls(groups, lr=lr, **options)


def stack_of_one(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: p.unsqueeze(0) for name, p in params.items()}


@dataclass
class PhaseState:
    """What one phase of the plain loop remembers between steps."""

    stage: Stage
    trained: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    rates: torch.optim.lr_scheduler.LambdaLR
    clock: int = 0
    losses: list[float] = field(default_factory=list)
    lowest_train_risk: float = math.inf
    best_risk: float = math.inf
    best_params: dict[str, Tensor] | None = None
    stale_checks: int = 0


class PlainLoop:
    """One training of a recipe; of the engine it uses nothing."""

    def __init__(self, recipe: Recipe, training: Training, lr: float | None) -> None:
        self.recipe, self.training = recipe, training
        self.target, self.learner = recipe.target, recipe.learner
        self.schedule, self.settings = recipe.schedule, recipe.optimizer
        self.lr = self.settings.lr if lr is None else lr
        self.draw = self.target.draw([training.seed], recipe.dtype)
        self.chance = float(self.draw.chance[0])
        self.batch_key = random.keys([training.seed], "batch")
        initial = self.learner.init_params(self.target, self.draw)
        self.params = {name: nn.Parameter(p[0].clone()) for name, p in initial.items()}
        self.step = 0
        self.result = Plain()
        self._draw_data()

    def run(self) -> Plain:
        for stage in self.recipe.stages():
            phase = self._begin_phase(stage)
            while not self._has_ended(phase):
                self._take_step(phase)
                if phase.clock % self.schedule.check_every == 0 or phase.clock == stage.steps:
                    self._check(phase)
                if self.step in self.recipe.observe:
                    curve = self.result.record.setdefault("curve", [])
                    curve.append((self.step, self._test_risk(stage.present)))
            self._end_phase(phase)
        self.result.params = {name: p.detach() for name, p in self.params.items()}
        return self.result

    # data

    def _draw_data(self) -> None:
        """The pool of training rows, of which the last may be held out for validation."""
        recipe, n = self.recipe, self.training.n
        num_held_out = 0
        if recipe.validation == "inside" and n:
            num_held_out = max(1, round(recipe.validation_size * n))
        self.n_fit = n - num_held_out
        self.x_pool, self.y_pool = self._read("train", torch.arange(max(n, 1)))
        self.held_out = (self.x_pool[self.n_fit :], self.y_pool[self.n_fit :])
        if recipe.validation == "free":
            self.held_out = self._read("validation", torch.arange(int(recipe.validation_size)))

    def _read(self, role: str, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Features and labels of the rows with these numbers."""
        x = self.draw.inputs(role, numbers.unsqueeze(0))
        return self.draw.encode(x)[0], self.draw.observe(role, numbers.unsqueeze(0), x)[0]

    def _draw_batch(self) -> tuple[Tensor, Tensor]:
        count = self.step * self.settings.batch + torch.arange(self.settings.batch)
        if self.training.n == 0:
            return self._read("train", count)
        if self.settings.sampling == "epochs":
            rows = count % self.n_fit
        else:
            rows = random.integers(self.batch_key, count, torch.tensor(self.n_fit))
        return self.x_pool[rows], self.y_pool[rows]

    # a phase

    def _begin_phase(self, stage: Stage) -> PhaseState:
        changed = self.learner.on_phase_start(stack_of_one(self.params), self.draw, stage)
        with torch.no_grad():
            for name, p in changed.items():
                self.params[name].copy_(p[0])
        groups, multipliers = self.learner.groups(self.target), self.learner.rates(self.target)
        trained = [name for group in stage.train for name in groups[group]]
        parameters = [self.params[name] for name in trained]
        torch_groups = [
            {"params": [self.params[name]], "lr": self.lr * multipliers.get(name, 1.0)}
            for name in trained
        ]
        optimizer = torch_optimizer(self.settings, torch_groups, self.lr)
        rates = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda clock: self._rate_factor(clock, stage.steps)
        )
        return PhaseState(stage, parameters, optimizer, rates)

    def _rate_factor(self, clock: int, steps: int) -> float:
        """Multiplier of the learning rate: a linear warm-up, then constant or along a cosine."""
        warmup = self.settings.warmup
        if clock < warmup:
            return (clock + 1) / warmup
        if self.settings.decay == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (clock - warmup) / (steps - warmup)))

    def _take_step(self, phase: PhaseState) -> None:
        stage, target = phase.stage, self.target
        x, y = self._draw_batch()
        phase.optimizer.zero_grad(set_to_none=False)
        outputs = plain_forward(self.learner, target, self.params, x, stage.present, None)
        loss = target.loss(outputs, y).mean()
        phase.losses.append(loss.item() / self.chance)
        penalty = self.learner.penalty(stack_of_one(self.params), stage.present, stage.penalties)
        (loss if penalty is None else loss + penalty.sum()).backward()
        self._clip_gradients(phase.trained)
        phase.optimizer.step()
        with torch.no_grad():
            self.learner.project(stack_of_one(self.params))
        phase.clock += 1
        self.step += 1
        if phase.clock < stage.steps:
            phase.rates.step()
        self.result.path.append(self._copy_params())

    def _clip_gradients(self, trained: list[nn.Parameter]) -> None:
        """Like clip_grad_norm_, which divides by norm + 1e-6: 50 steps at 1e-9 would show that."""
        for p in trained:
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        clip = self.settings.clip
        if clip is not None:
            norm = float(torch.nn.utils.get_total_norm([p.grad for p in trained]))
            for p in trained:
                p.grad *= clip / max(clip, norm)

    def _check(self, phase: PhaseState) -> None:
        """Train and validation risk; the best parameters are kept."""
        if self.training.n == 0:
            return
        present, num_rows = phase.stage.present, min(self.n_fit, 1024)
        train_risk = self._risk(self.x_pool[:num_rows], self.y_pool[:num_rows], present)
        phase.lowest_train_risk = min(phase.lowest_train_risk, train_risk)
        if len(self.held_out[0]) == 0:
            return
        risk = self._risk(*self.held_out, present)
        phase.stale_checks += 1
        if self._has_improved(risk, phase.best_risk):
            phase.best_risk, phase.best_params = risk, self._copy_params()
            phase.stale_checks = 0

    def _has_improved(self, risk: float, best: float) -> bool:
        """By the rule of the schedule, which the engine asks as well."""
        risks = torch.tensor([[risk], [best]], dtype=torch.float64)
        return bool(self.schedule.has_improved(risks[0], risks[1]))

    def _has_ended(self, phase: PhaseState) -> bool:
        if phase.clock == 0:
            return False
        if phase.clock == phase.stage.steps:
            return True
        is_at_check = phase.clock % self.schedule.check_every == 0
        return is_at_check and self.schedule.ends_phase(
            phase.clock, phase.stale_checks, self._is_loss_low(phase)
        )

    def _is_loss_low(self, phase: PhaseState) -> bool:
        """Whether the mean loss since the last check is at most what ends the phase."""
        stage, interval = phase.stage, self.schedule.check_every
        if stage.until is None:
            return False
        unit = 1.0 if stage.gap is None else self.target.gaps[stage.gap] / self.chance
        return sum(phase.losses[-interval:]) / interval <= stage.until * unit

    def _end_phase(self, phase: PhaseState) -> None:
        """Restore the best parameters and record the risks."""
        if phase.best_params is not None:
            with torch.no_grad():
                for name, p in self.params.items():
                    p.copy_(phase.best_params[name])
        stage = phase.stage
        risk = self._test_risk(stage.present)
        train_risk = risk if self.training.n == 0 else phase.lowest_train_risk
        self.result.record |= {
            f"{stage.name}/risk": risk,
            "risk": risk,
            "train_risk": train_risk,
            "stage": stage.name,
            "validation_risk": phase.best_risk,
            "steps": self.step,
            "variance_error": float(self.draw.variance_error / self.draw.variance),
            "diverged": train_risk > 10,
        }

    # risks

    def _test_risk(self, present: frozenset[str]) -> float:
        test = self.recipe.test
        return self._risk(*self._read("test", torch.arange(test)), present, test)

    @torch.no_grad()
    def _risk(
        self, x: Tensor, y: Tensor, present: frozenset[str], num_reference: int = 4096
    ) -> float:
        centre = self._centre(present, min(num_reference, self.recipe.test))
        outputs = plain_forward(self.learner, self.target, self.params, x, present, centre)
        return float(self.target.error(outputs, y).mean() / self.chance)

    def _centre(self, present: frozenset[str], num_rows: int) -> dict[str, Tensor]:
        """The learner's centring constants on reference inputs; empty where it has none."""
        if not self.learner.needs_reference:
            return {}
        reference = self.draw.inputs("reference", torch.arange(num_rows).unsqueeze(0))
        statistics = self.learner.statistics(
            stack_of_one(self.params), self.draw.encode(reference), present
        )
        return {name: value[0] for name, value in statistics.items()}

    def _copy_params(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.params.items()}


def plain_train(recipe: Recipe, training: Training, lr: float | None = None) -> Plain:
    return PlainLoop(recipe, training, lr).run()
