"""The synonyms probe on networks that read a grammar by hand, and on trained ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.learners.capabilities import HiddenStates
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.learners.tree import Tree
from bfc.optimizers.adam import Adam
from bfc.probes.synonyms import Synonyms, mean_squared_distance
from bfc.schedules import load_schedule
from bfc.targets.hierarchy import Hierarchy
from bfc.targets.parity import Parity
from bfc.types import Draw, Params, Target, Training

TARGET = Hierarchy(L=3)
WHOLE = frozenset({"bias", "level2", "level3", "level4"})


@dataclass(frozen=True)
class Reader(HiddenStates):
    """Level k holds the symbols of level k − 1 of one grammar, one-hot: it parses what it reads."""

    identity_name: ClassVar[str] = "tests.Reader"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False
    draw: Draw | None = None

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {}

    def init_params(self, target: Target, draw: Draw) -> Params:
        return {"bias": torch.zeros(len(draw.seeds), 1)}

    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        symbols = torch.unflatten(x, 2, (-1, TARGET.v)).argmax(3).to(x.dtype)
        return self.draw.features(symbols)

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        raise NotImplementedError("it only reads")


def test_a_network_that_parses_is_blind_to_the_synonyms_it_has_read():
    """S = 0 where level k holds symbols at or above the redrawn level l, and 1 − (1/m-type
    coincidences) where it holds those below it: redrawn tuples are as different as any."""
    draw = TARGET.draw([0, 4])
    reader = Reader(draw)
    values = Synonyms(rows=512).measure(
        TARGET, draw, reader, reader.init_params(TARGET, draw), WHOLE
    )
    assert set(values) == {f"synonyms{level}/{k}" for level in (1, 2) for k in (2, 3, 4)}
    for level in (1, 2):
        for k in (2, 3, 4):
            value = values[f"synonyms{level}/{k}"]
            assert value.shape == (2,)
            if k - 1 >= level:
                assert float(value.abs().max()) == 0
            else:
                assert float(value.min()) > 0.5


def test_absent_levels_are_not_numbers():
    draw = TARGET.draw([0])
    learner = Tree(widths=(8,))
    params = learner.init_params(TARGET, draw)
    values = Synonyms(rows=64).measure(
        TARGET, draw, learner, params, frozenset({"bias", "level2", "level3"})
    )
    for name, value in values.items():
        assert bool(value.isnan().all()) == name.endswith("/4")


def test_the_distance_is_the_mean_over_rows_of_the_squared_norm():
    h, g = torch.tensor([[[0.0, 1.0], [2.0, 2.0]]]), torch.tensor([[[3.0, 1.0], [2.0, 3.0]]])
    assert mean_squared_distance(h, g).tolist() == [5.0]


def test_a_tree_is_read_at_all_its_places():
    """At level 2 the four places of L = 3 are kept apart, which their mean would not do."""
    draw = TARGET.draw([0])
    learner = Tree(widths=(8,))
    params = learner.init_params(TARGET, draw)
    x = draw.encode(draw.inputs("train", torch.arange(5).unsqueeze(0)))
    everywhere = learner.activations(params, x, WHOLE)
    assert {level: h.shape[2] for level, h in everywhere.items()} == {2: 32, 3: 16, 4: 8}
    means = learner.hidden(params, x, WHOLE)
    torch.testing.assert_close(everywhere[2].unflatten(2, (4, 8)).mean(2), means[2])


def test_a_trained_tree_turns_blind_above_the_level_that_reads_them():
    """Level 3, which reads the symbols of level 2, and not level 2 itself (n* is near 680)."""
    recipe = Recipe(
        TARGET,
        Tree(widths=(48,)),
        load_schedule("joint", steps=600, patience=None),
        Adam(lr=0.02, batch=128, warmup=50),
        test=512,
        probe=Synonyms(rows=256, num_evals=1),
    )
    (record,) = train(recipe, [Training(2048, 1)])
    assert record["risk"] < 0.1
    stage, (start, *_) = record["stage"], record["trace"]
    assert start["synonyms1/3"] > 0.7 > 0.4 > record[f"{stage}/synonyms1/3"]
    assert record[f"{stage}/synonyms1/2"] > 0.5


@pytest.mark.parametrize(
    ("target", "learner", "words"),
    [
        (
            Parity(d=8),
            Tree(),
            "needs a target with synonyms, not Parity; allowed: target=hierarchy",
        ),
        (TARGET, QuadraticDenseNet(), "needs a network whose levels can be read, not Quadratic"),
        (
            Hierarchy(v=16, classes=16, m=16, L=1),
            Tree(),
            "with target.L=1 there is no level below the class",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(target, learner, words):
    with pytest.raises(UserError, match=words):
        Synonyms().check(target, learner)
