"""Damaged and hostile files and checkpoints are refused in a sentence; no old result is lost.

Nothing that lies in a folder is ever executed.
"""

import io
import os
import pickle
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch
import yaml
from commands import TINY, files, run, table
from stored_cells import BOTH, copy_of, full_disk, measure_both

from bfc.engine.stack_request import train_stack
from bfc.errors import UserError
from bfc.experiment.checkpointed_training import CheckpointedTraining, TrainingRequest
from bfc.store.cells import Cell
from bfc.types import Training


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    return measure_both(tmp_path_factory.mktemp("measured"))


def flipped(data: bytes, place: float) -> bytes:
    at = int(place * len(data))
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut at the end": lambda data: data[:-5],
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"nothing of the kind\n\xff\xfe",
    "another kind of value": lambda data: b"[[1]]" if data.lstrip().startswith(b"{") else b"7",
}


@pytest.mark.parametrize(
    "name", ["trainings.parquet", "status.json", "requests.json", "config.yaml", "tuned.json"]
)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_a_sentence_and_stays_as_it_is(
    name: str, damage: str, measured, tmp_path
) -> None:
    folders = copy_of(measured, tmp_path)
    path = folders["baseline" if name == "tuned.json" else "learner"] / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    if (
        name == "config.yaml"
        and damage == "cut at the end"
        and isinstance(yaml.safe_load(path.read_bytes()), dict)
    ):
        path.write_bytes(path.read_bytes()[:-30])
    before = files(tmp_path)
    for more in ((), ("measure.seeds=2",)):
        if name == "tuned.json" and not more:
            continue
        refused = run(*BOTH, *more, cwd=tmp_path)
        assert refused.status == 2 and len(refused.err.splitlines()) == 1, refused
        assert str(path.relative_to(tmp_path)) in refused.err and (
            "move it away" in refused.err or "cannot be read" in refused.err
        )
    after = files(tmp_path)
    assert all(
        after[key] == value
        for key, value in before.items()
        if path.parent.name in key and path.name in key
    )
    assert (
        after[str((path.parent / "trainings.parquet").relative_to(tmp_path))]
        == before[str((path.parent / "trainings.parquet").relative_to(tmp_path))]
    )
    assert not list(tmp_path.rglob("claim.json")) and not list(tmp_path.rglob(".*"))


REFUSALS = (
    "cannot be read as a results table",
    "is not a results table",
    "holds the results of another cell",  # the bit lay in the id that is stored with the rows
)


def test_a_flipped_bit_in_the_results_is_found_or_harmless(measured, tmp_path) -> None:
    cell = Cell(copy_of(measured, tmp_path)["baseline"])
    path = cell.path / "trainings.parquet"
    whole, rows, refusals = path.read_bytes(), cell.rows(), 0
    places = [i / 150 for i in range(150)]
    for place in places:
        path.write_bytes(flipped(whole, place))
        try:
            read = cell.rows()
        except UserError as error:
            assert any(reason in str(error) for reason in REFUSALS), (place, error)
            refusals += 1
            continue
        assert (
            [row["risk"] for row in read] == [row["risk"] for row in rows]
            if "risk" in read[0]
            else True
        ), place
    assert refusals > len(places) / 3


def test_a_table_of_something_else_is_not_taken_for_results(measured, tmp_path) -> None:
    path = copy_of(measured, tmp_path)["learner"] / "trainings.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    assert (
        "trainings.parquet: is not a results table, it has no kind, n, seed, risk"
        in run(*BOTH, cwd=tmp_path).sentence
    )


def test_a_changed_configuration_is_noticed(measured, tmp_path) -> None:
    path = copy_of(measured, tmp_path)["learner"] / "config.yaml"
    path.write_text(path.read_text().replace("  d: 4", "  d: 5"))
    assert (
        "config.yaml: does not describe this cell, so it was changed; move it away"
        in run(*BOTH, cwd=tmp_path).sentence
    )


def test_a_hostile_stored_configuration_is_not_executed(measured, tmp_path) -> None:
    path = copy_of(measured, tmp_path)["learner"] / "config.yaml"
    hostile = f"target: !!python/object/apply:os.system ['touch {tmp_path}/pwned']\n"
    path.write_text(hostile)
    assert "config.yaml: cannot be read" in run(*BOTH, cwd=tmp_path).sentence
    path.write_text(f"target: {{_target_: os.system, command: 'touch {tmp_path}/pwned'}}\n")
    assert "config.yaml: does not describe this cell" in run(*BOTH, cwd=tmp_path).sentence
    assert not (tmp_path / "pwned").exists()


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def good_checkpoint(**changes) -> dict:
    stack = 4
    state = {
        "params": {"bias": torch.zeros(stack, 1)},
        "best": {"bias": torch.zeros(stack, 1)},
        "optimizer": {},
        "counters": {"phase": torch.zeros(stack, dtype=torch.int64)},
        "risks": {"train": torch.zeros(stack)},
        "records": [{}] * stack,
    }
    trainings = [(n, seed, "training", None) for seed in (0, 1) for n in (16, 32)]
    return {"trainings": trainings, "longer": 1, "seconds": 0.0, "state": state, **changes}


def saved(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def zipped(**changes) -> bytes:
    return saved(good_checkpoint(**changes))


CHECKPOINTS = {
    "empty": b"",
    "text": b"not a checkpoint",
    "cut": zipped()[:-200],
    "first half": zipped()[: len(zipped()) // 2],
    "zeros": bytes(5000),
    "a list": saved([1, 2]),
    "a tensor": saved(torch.zeros(3)),
    "nothing": saved({}),
    "no state": zipped(state={}),
    "no trainings": zipped(trainings=[]),
    "trainings that are none": zipped(trainings=[(1, 2, 3, 4, 5)]),
    "another state": zipped(state={**good_checkpoint()["state"], "momentum": {}}),
    "fewer replicas": zipped(trainings=good_checkpoint()["trainings"][:3]),
    "seconds as text": zipped(seconds="soon"),
    "an old pickle": pickle.dumps({"trainings": []}),
}


def test_what_the_damaged_checkpoints_are_made_of_is_accepted_when_whole(cell, capsys) -> None:
    """It is dropped once all of its trainings are stored, which asks for each of them."""
    cell.path.mkdir(parents=True)
    (cell.path / "checkpoint.pt").write_bytes(zipped())
    cpu = torch.device("cpu")
    training = CheckpointedTraining(cell, cpu, "auto", 60.0, train_stack, lambda done: None)
    requests: list[TrainingRequest] = []
    training.drop_finished(lambda request: requests.append(request) is None)
    assert requests == [TrainingRequest(Training(n, seed)) for seed in (0, 1) for n in (16, 32)]
    assert not capsys.readouterr().out and not (cell.path / "checkpoint.pt").exists()


@pytest.mark.parametrize("damage", CHECKPOINTS)
def test_a_damaged_checkpoint_costs_its_work_only(damage: str, measured, tmp_path, capsys) -> None:
    folder = copy_of(measured, tmp_path)["learner"]
    (folder / "checkpoint.pt").write_bytes(CHECKPOINTS[damage])
    before = table(folder, drop=())
    done = run(*BOTH, "measure.seeds=2", cwd=tmp_path)
    assert (
        done.status == 0
        and "2 rows stored, 1 new" in done.out
        and "its stack starts again" in done.out
    ), done
    assert table(folder, drop=())[:1] == before and not (folder / "checkpoint.pt").exists()


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_hostile_checkpoint_is_not_executed(form: str, measured, tmp_path) -> None:
    folder = copy_of(measured, tmp_path)["learner"]
    hostile = {"trainings": Hostile(tmp_path / "pwned")}
    (folder / "checkpoint.pt").write_bytes(
        saved(hostile) if form == "torch" else pickle.dumps(hostile)
    )
    pickle.loads(pickle.dumps(Hostile(tmp_path / "proof")))
    assert (tmp_path / "proof").exists(), "the attack itself works"
    done = run(*BOTH, "measure.seeds=2", cwd=tmp_path)
    assert (
        done.status == 0
        and "its stack starts again" in done.out
        and "2 rows stored, 1 new" in done.out
    )
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_that_cannot_be_written_does_not_stop_the_training(
    tmp_path, monkeypatch
) -> None:
    plain = Path.write_bytes
    monkeypatch.setattr(
        Path,
        "write_bytes",
        lambda path, data: full_disk() if "checkpoint" in path.name else plain(path, data),
    )
    done = run(*TINY, "compute.checkpoint_seconds=0", cwd=tmp_path)
    assert (
        done.status == 0
        and "training goes on without a checkpoint" in done.out
        and "4 rows stored, 4 new" in done.out
    )
