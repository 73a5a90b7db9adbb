"""The command line again: the same command does nothing, a larger one only what is missing."""

import json
import re
from itertools import product
from pathlib import Path

import pytest
import torch
from commands import TINY, cell_folder, files, run, store, table
from torch import Tensor

from bfc.store.cells import Cell
from bfc.targets.quadratic_draw import QuadraticDraw

WITHOUT_N = tuple(override for override in TINY if "measure.n=" not in override)
BOTH = (*TINY, "baseline=polynomial", "baseline.n_max=64", "baseline.tuning_draws=1")
ADAPTIVE = (
    *WITHOUT_N,
    "measure=adaptive",
    "measure.rounds=2",
    "measure.replicas=4",
    "measure.n_max=64",
    "measure.stop=0",
)


def changed_names(before: dict, after: dict) -> set[str]:
    """The names of the files that appeared, changed or vanished."""
    paths = {*before, *after}
    return {path.split("/")[-1] for path in paths if before.get(path) != after.get(path)}


# --- the same again -----------------------------------------------------------------------------


def test_the_same_command_again_does_nothing(tmp_path, monkeypatch) -> None:
    first = run(*BOTH, cwd=tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(
        "bfc.engine.stack_request.train", lambda *_, **__: pytest.fail("trained again")
    )
    monkeypatch.setattr(
        "bfc.baselines.ridge.KernelRidge.tune", lambda *_, **__: pytest.fail("tuned again")
    )
    monkeypatch.setattr(
        "bfc.baselines.ridge.KernelRidge.curve", lambda *_, **__: pytest.fail("computed again")
    )
    for again in (
        BOTH,
        ("-m", *BOTH, "hydra/launcher=basic"),
        (*BOTH, "measure.seeds=[1,0]"),
        (*BOTH, "compute.stack=1"),
    ):
        done = run(*again, cwd=tmp_path)
        assert done.status == 0 and ", 0 new" in done.out and ", 4 new" not in done.out, done
        after = files(tmp_path)
        is_new_request = "measure.seeds=[1,0]" in again
        assert changed_names(before, after) == ({"requests.json"} if is_new_request else set())
        before = after
    assert ", 4 new" in first.out


def test_the_same_command_again_touches_no_file_at_all(tmp_path) -> None:
    run(*TINY, cwd=tmp_path)
    before = files(tmp_path)
    run(*TINY, cwd=tmp_path)
    assert files(tmp_path) == before


def test_part_of_what_is_stored_is_only_noted(tmp_path) -> None:
    run(*TINY, cwd=tmp_path)
    before = files(tmp_path)
    done = run(*TINY, "measure.n=16", "measure.seeds=[1]", cwd=tmp_path)
    assert ", 0 new" in done.out
    assert changed_names(before, files(tmp_path)) == {"requests.json"}
    cell = cell_folder(tmp_path / "results", "learner")
    requests = json.loads((cell / "requests.json").read_text())
    assert [(request["n"], request["seeds"]) for request in requests] == [
        ([16, 32], [0, 1]),
        ([16], [1]),
    ]


def test_more_seeds_and_more_n_extend_the_same_cell(tmp_path) -> None:
    run(*BOTH, cwd=tmp_path)
    learner = cell_folder(tmp_path / "results", "learner")
    baseline = cell_folder(tmp_path / "results", "baseline")
    before = table(learner, drop=())
    curve = table(baseline, drop=())
    config = (learner / "config.yaml").read_bytes()
    done = run(*BOTH, "measure.seeds=3", "measure.n=[16,24,32]", cwd=tmp_path)
    assert "9 rows stored, 5 new" in done.out, done
    after = table(learner, drop=())
    assert after[:4] == before and len(after) == 9
    assert {(row["n"], row["seed"]) for row in after} == set(product((16, 24, 32), range(3)))
    assert (learner / "config.yaml").read_bytes() == config
    longer = table(baseline, drop=())
    assert longer[: len(curve)] == curve and {row["seed"] for row in longer} == {0, 1, 2}
    assert {p.name for p in (tmp_path / "results").iterdir()} == {learner.name, baseline.name}


def test_what_is_added_later_is_what_would_have_been_measured_at_once(tmp_path) -> None:
    """Every stack holds one training, so that only the order of the requests differs."""
    for seeds in ("[2]", "[0,2]", "[0,1,2]"):
        run(*TINY, "results=grown", f"measure.seeds={seeds}", "compute.stack=1", cwd=tmp_path)
    run(*TINY, "results=once", "measure.seeds=3", "compute.stack=1", cwd=tmp_path)
    [grown] = store(tmp_path / "grown").values()
    [once] = store(tmp_path / "once").values()
    assert sorted(grown, key=_seed_and_n) == sorted(once, key=_seed_and_n)


def _seed_and_n(row: dict) -> tuple[int, int]:
    return row["seed"], row["n"]


def test_a_ladder_and_a_single_n_share_what_is_stored(tmp_path) -> None:
    run(*TINY, "measure.n=[16]", cwd=tmp_path)
    done = run(*WITHOUT_N, "measure=single", "measure.n=16", cwd=tmp_path)
    assert "2 rows stored, 0 new" in done.out
    done = run(*WITHOUT_N, "measure=single", "measure.n=fresh", cwd=tmp_path)
    assert "2 rows stored, 2 new" in done.out and len(list((tmp_path / "results").iterdir())) == 2


def test_a_learner_and_a_baseline_are_measured_on_the_same_draws(tmp_path, monkeypatch) -> None:
    """The draw of seed 3 in float32 (the learner) and in float64 (the baseline)."""
    test_rows: dict[torch.dtype, tuple[Tensor, Tensor]] = {}
    draw_inputs = QuadraticDraw.inputs

    def draw_and_keep(self, role, rows):
        x = draw_inputs(self, role, rows)
        if role == "test" and 3 in self.seeds:
            replica = self.seeds.index(3)
            first_rows = x[replica, :8].double(), self.labels(x)[replica, :8].double()
            test_rows.setdefault(x.dtype, first_rows)
        return x

    monkeypatch.setattr(QuadraticDraw, "inputs", draw_and_keep)
    run(*BOTH, "measure.seeds=[3]", cwd=tmp_path)
    x32, y32 = test_rows[torch.float32]
    x64, y64 = test_rows[torch.float64]
    assert (x32 - x64).abs().max() < 1e-5
    assert (y32 - y64).abs().max() < 1e-3 * y64.abs().max()


def test_a_stricter_question_is_judged_anew_and_never_back(tmp_path) -> None:
    """Outcomes are those of the smallest eps that was requested; the risks do not change."""
    easy, hard = "measure.eps=[0.999]", "measure.eps=[0.0001]"
    run(*TINY, easy, cwd=tmp_path)
    cell = cell_folder(tmp_path / "results", "learner")
    first = table(cell)
    run(*TINY, hard, cwd=tmp_path)
    second = table(cell)
    assert [row["outcome"] for row in first] != [row["outcome"] for row in second]
    assert [row | {"outcome": None} for row in first] == [row | {"outcome": None} for row in second]
    before = files(tmp_path)
    run(*TINY, easy, cwd=tmp_path)
    assert files(tmp_path) == before


def test_confirming_runs_are_made_when_they_are_asked_for_later(tmp_path) -> None:
    run(*TINY, "measure.eps=[0.0001]", cwd=tmp_path)
    cell = cell_folder(tmp_path / "results", "learner")
    assert {row["kind"] for row in table(cell)} == {"training"}
    done = run(*TINY, "measure.eps=[0.0001]", "measure.confirm=1", cwd=tmp_path)
    assert "5 rows stored, 1 new" in done.out
    assert [row["kind"] for row in table(cell)] == ["training"] * 4 + ["confirmation"]
    assert (
        "5 rows stored, 0 new"
        in run(*TINY, "measure.eps=[0.0001]", "measure.confirm=1", cwd=tmp_path).out
    )


def test_an_adaptive_cell_keeps_the_prior_it_began_with(tmp_path) -> None:
    """What a later sweep knows neither restarts a finished cell nor is written into it."""
    assert "8 rows stored, 8 new" in run(*ADAPTIVE, cwd=tmp_path).out
    before = files(tmp_path)
    for later in ("measure.prior=[3.5,0.2]", "measure.prior=null", "measure.prior=auto"):
        done = run(*ADAPTIVE, later, cwd=tmp_path)
        assert done.status == 0 and "8 rows stored, 0 new" in done.out, done
        assert files(tmp_path) == before
    done = run(*ADAPTIVE, "measure.prior=[3.5,0.2]", "measure.rounds=3", cwd=tmp_path)
    assert "12 rows stored, 4 new" in done.out
    run(*ADAPTIVE, "measure.rounds=3", "results=at_once", cwd=tmp_path)
    assert store(tmp_path / "results") == store(tmp_path / "at_once")


@pytest.mark.parametrize("more", ["measure.n_max=4096", "measure.eps=[0.1,0.001]"])
def test_a_finished_adaptive_cell_goes_on_when_asked_for_more(more: str, tmp_path) -> None:
    """It had used its two rounds; the baseline of the same jobs is not run again."""
    baseline = (
        "measure.eps=[0.99]",
        "measure.confirm=0",
        "baseline=polynomial",
        "baseline.n_max=32",
        "baseline.tuning_draws=1",
    )
    assert "8 rows stored, 8 new" in run(*ADAPTIVE, *baseline, cwd=tmp_path).out
    assert run(*ADAPTIVE, *baseline, cwd=tmp_path).out.count(", 0 new") == 2
    done = run(*ADAPTIVE, *baseline, more, "measure.seconds=1000", cwd=tmp_path)
    assert "16 rows stored, 8 new" in done.out and done.out.count(", 0 new") == 1, done
    for again in ((more,), ()):
        assert run(*ADAPTIVE, *baseline, *again, cwd=tmp_path).out.count(", 0 new") == 2


def test_an_adaptive_sweep_again_does_nothing(tmp_path) -> None:
    """Larger d wait for smaller ones and start from what those show, which is stored with them."""
    line = ("-m", *ADAPTIVE, "target.d=6,4", "measure.eps=[0.9]", "hydra/launcher=basic")
    done = run(*line, cwd=tmp_path)
    assert done.status == 0 and re.findall(r" d=(\d+) ", done.out) == ["4", "6"], done
    before = files(tmp_path)
    again = run(*line, cwd=tmp_path)
    assert again.out.count(", 0 new") == 2 and files(tmp_path) == before


def test_evaluations_during_training_are_stored_in_the_trace_once(tmp_path: Path) -> None:
    probed = (*TINY, "probe=feature_error", "probe.rows=64", "probe.num_evals=4")
    for line in (probed, (*probed, "measure.seeds=3"), probed):
        assert run(*line, cwd=tmp_path).status == 0
    (folder,) = (tmp_path / "results").iterdir()
    trace = Cell(folder).rows("trace")
    assert {(row["n"], row["seed"]) for row in trace} == set(product((16, 32), range(3)))
    assert len(trace) == 6 * 4 and {row["step"] for row in trace} == {0, 1, 6, 40}
    assert all(row["risk"] > 0 and "gram/2" in row for row in trace)
