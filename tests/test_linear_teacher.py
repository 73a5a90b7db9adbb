"""Classification of a linear teacher by a leaky-ReLU network: an oracle for the task's training.

Sarussi, Brutzkus & Globerson (arXiv:2101.02533): with a fixed second layer of signs and
cross-entropy by SGD, such a network fits linearly separable data whatever its start, and where the
units of each sign point one way its decision is nearly that of the linear classifier w₊ − w₋.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from bfc.engine.evaluation import predict
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import Trainer
from bfc.learners.initialiser import Initialiser
from bfc.matmul import matmul
from bfc.optimizers.sgd import SGD
from bfc.schedules import Phase, Schedule
from bfc.targets.index import Index
from bfc.tasks.classification import Classification
from bfc.types import Draw, Learner, Params, Target, Training

UNITS = 64
"""Units of each sign."""
LEAK = 0.1
SEEDS = (0, 1)
PRESENT = frozenset({"level2"})


@dataclass(frozen=True)
class LeakyPair(Learner):
    """f(x) = (1/units) (Σ_i ρ(w_i·x) − Σ_j ρ(u_j·x)), ρ(z) = max(z, leak z): only W trains."""

    identity_name: ClassVar[str] = "tests.LeakyPair"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False
    start: float = 0.001
    """Standard deviation of an initial weight times √d."""

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2,)

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        assert present == PRESENT

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {"level2": ("W",)}

    def init_params(self, target: Target, draw: Draw) -> Params:
        initial = Initialiser.like_inputs(draw)
        return {"W": self.start * target.d**-0.5 * initial.normal("W", target.d, 2 * UNITS)}

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        z = torch.nn.functional.leaky_relu(matmul(x, params["W"]), LEAK)
        plus, minus = z.chunk(2, 2)
        return (plus.sum(2) - minus.sum(2)) / UNITS


def trained(start: float) -> tuple[Trainer, list[dict]]:
    """Networks of 64 + 64 units on 200 labels at d = 16, with a margin of .2."""
    recipe = Recipe(
        Classification(margin=0.2).wrap(Index(d=16, link="he1")),
        LeakyPair(start=start),
        Schedule((Phase(("level2",)),), steps=4000, patience=None),
        SGD(lr=5.0, batch=32, momentum=0.0, decay="constant", warmup=0, clip=None),
        test=4096,
    )
    trainer = Trainer(recipe, [Training(200, seed) for seed in SEEDS])
    return trainer, trainer.run(None)


@pytest.fixture(scope="module", params=[0.001, 3.0], ids=["small", "large"])
def pair(request) -> tuple[float, Trainer, list[dict]]:
    return request.param, *trained(request.param)


def test_the_network_fits_separable_labels_and_generalises_as_a_linear_classifier(pair):
    """No training row is wrong (the global optimum); chance is a risk of 1."""
    _, _, records = pair
    for record in records:
        assert record["train_risk"] == 0
        assert record["risk"] < 0.3


def test_the_decision_is_nearly_that_of_the_difference_of_the_halves(pair):
    """Measured by a prototype: 1.5 to 2.6 % of disagreement, whatever the start."""
    _, trainer, _ = pair
    draw = trainer.data.draw([0, 1])
    x = draw.encode(draw.inputs("probe", torch.arange(4096).expand(2, -1)))
    params = trainer.state.params
    out = predict(trainer.recipe, params, x, PRESENT, {})
    plus, minus = (part.mean(2) for part in params["W"].chunk(2, 2))
    linear = torch.bmm(x, (plus - minus).unsqueeze(2)).squeeze(2)
    disagreement = ((out > 0) != (linear > 0)).double().mean(1)
    assert float(disagreement.max()) < 0.03


def test_a_small_start_ends_in_two_clusters_and_a_large_one_does_not(pair):
    """Cosine of the units with the mean of their half: .99 and .8 at a margin of .1."""
    start, trainer, _ = pair
    cosines = []
    for half in trainer.state.params["W"].chunk(2, 2):
        mean = half.mean(2, keepdim=True)
        cosines.append(torch.cosine_similarity(half, mean, dim=1).mean())
    mean_cosine = float(torch.stack(cosines).mean())
    assert mean_cosine > 0.9 if start < 0.1 else mean_cosine < 0.86
