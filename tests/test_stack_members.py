"""What a stack promises: independent members, resumption bit for bit, no waiting for the device."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
import torch
from compared_trainings import (
    LAYERWISE,
    RECIPE,
    STAGED,
    TARGET,
    TRAININGS,
    fused,
    same_params,
    same_record,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bfc.engine import data as engine_data
from bfc.engine.data import StackData
from bfc.engine.recipe import Recipe
from bfc.engine.state import State
from bfc.engine.trainer import Trainer, train
from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.probes.feature_error import FeatureError
from bfc.schedules import Phase
from bfc.stats.outcomes import classify_rows
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training

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
    """Training sees the rows below n - held and validation the rest, recognised by their inputs."""
    data = StackData(TARGET, TRAININGS, "inside", 0.25, torch.float64, torch.device("cpu"))
    index = list(range(len(TRAININGS)))
    fit, held = [15, 45, 25, 45], [5, 15, 8, 15]
    assert data.n_fit.tolist() == fit and data.n_validation.tolist() == held
    monkeypatch.setattr(engine_data, "ROWS_AHEAD", 4 * 64 * 7)
    batches = list(data.batches(index, 64, torch.arange(4), 30))
    for t, replica in ((0, 0), (29, 3), (8, 2)):
        (single,) = data.batches([replica], 64, torch.tensor([replica + t]), 1)
        assert torch.equal(single[0][0], batches[t][0][replica]) and torch.equal(
            single[1][0], batches[t][1][replica]
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


class HostReads(TorchDispatchMode):
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
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in self.NEEDS_A_VALUE:
            self.names.append(name)
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
            with HostReads() as reads:
                chunk(self, index, stage, length)
        counts.append((length, reads.names + calls))

    monkeypatch.setattr(Trainer, "train_chunk", watched)
    train(recipe, list(trainings))
    assert max(length for length, _ in counts) == 5
    assert all(not names for _, names in counts), counts


def test_the_watch_sees_what_it_looks_for():
    with HostReads() as reads:
        t = torch.arange(3)
        bool(t[0] > 0), t[1].item(), t.nonzero(), t[t > 1]
    assert reads.names.count("_local_scalar_dense") == 2 and "nonzero" in reads.names


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


# ---- the chain of backward feature correction --------------------------------------------------


def test_the_chain_of_backward_feature_correction(build):
    """Gram errors of the notes (2.1: d = 32, L = 4, fresh data, defaults of the YAMLs) on 8 seeds.

    The error of level 2 falls as levels 3 and 4 arrive. Strict layer-wise training stays biased,
    refitted read-outs help, and only joint training gets there.
    """
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
