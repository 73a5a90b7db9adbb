"""Stores that were half copied, mixed up, linked elsewhere or are shared by users.

After random damage to a finished store, the same command either ends with the right rows or is
refused with one sentence, and files outside its cell are untouched.
"""

import os
import random
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import TINY, container, table

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.hydra_errors import explain
from bfc.store import lease
from bfc.store.cells import Store

DAMAGES = 150
JOB = container(*TINY, "measure.n=16", "measure.seeds=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished cell and another one, whose files may be mixed in."""
    folder = tmp_path_factory.mktemp("whole")
    for d in (4, 5):
        run_job(
            load_job(
                {**JOB, "target": {**JOB["target"], "d": d}, "results": str(folder / "results")}
            )
        )
    return folder


def cell_of(results: Path) -> Path:
    return results / cell_specs(load_job(JOB))[0].cell_id


def damage(cell_path: Path, other: Path, outside: Path, dice: random.Random) -> str:
    """Do one bad thing to a cell's folder; what it was."""
    names = sorted(p.name for p in cell_path.iterdir())
    kind = dice.choice(
        [
            "cut",
            "gone",
            "other's",
            "link",
            "dangling",
            "folder",
            "foreign",
            "flipped",
            "half",
            "old claim",
        ]
    )
    name = dice.choice(names)
    path = cell_path / name
    data = path.read_bytes()
    if kind == "cut":
        path.write_bytes(data[: dice.randrange(len(data))])
    elif kind == "gone":
        path.unlink()
    elif kind == "other's":
        shutil.copyfile(other / name, path) if (other / name).exists() else None
    elif kind == "link":
        shutil.move(path, outside / name)
        path.symlink_to(outside / name)
    elif kind == "dangling":
        path.unlink()
        path.symlink_to(outside / "nowhere")
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "foreign":
        (
            cell_path
            / dice.choice(["notes.txt", "trainings.parquet.bak", ".DS_Store", "checkpoint.pt"])
        ).write_bytes(data[:50])
    elif kind == "flipped":
        at = dice.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :])
    elif kind == "half":
        for removed in dice.sample(names, len(names) // 2):
            (cell_path / removed).unlink()
    else:
        (cell_path / lease.NAME).write_text(data.decode(errors="replace")[:30])
        os.utime(cell_path / lease.NAME, (1, 1))
    return f"{kind} {name}"


def test_random_damage_ends_with_the_right_rows_or_a_sentence(whole, tmp_path, capsys) -> None:
    dice, came = random.Random(7), {"right": 0, "refused": 0}
    right = table(cell_of(whole / "results"))
    for number in range(DAMAGES):
        here = tmp_path / str(number)
        shutil.copytree(whole / "results", here / "results")
        (here / "outside").mkdir()
        cell_path = cell_of(here / "results")
        (other,) = (p for p in (here / "results").iterdir() if p != cell_path)
        done = damage(cell_path, other, here / "outside", dice)
        before = (
            (cell_path / "trainings.parquet").read_bytes()
            if (cell_path / "trainings.parquet").is_file()
            else None
        )
        try:
            run_job(load_job({**JOB, "results": str(here / "results")}))
        except Exception as error:
            assert (sentence := explain(error)) is not None, (done, error)
            assert len(sentence.splitlines()) == 1, (done, sentence)
            after = (
                (cell_path / "trainings.parquet").read_bytes()
                if (cell_path / "trainings.parquet").is_file()
                else None
            )
            assert after == before, done
            came["refused"] += 1
        else:
            assert [{**row, "hardware": ""} for row in table(cell_path)] == [
                {**row, "hardware": ""} for row in right
            ], done
            came["right"] += 1
        shutil.rmtree(here)
    with capsys.disabled():
        print(
            f"\n{DAMAGES} damaged stores: {came['right']} ended with the right rows, "
            f"{came['refused']} were refused in a sentence"
        )
    assert min(came.values()) >= 20


@pytest.mark.parametrize("jump", [-(10.0**7), 10.0**7])
def test_a_host_whose_clock_jumps_measures_the_same(
    jump: float, whole, tmp_path, monkeypatch
) -> None:
    plain, calls = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: plain() + (jump if next(calls) % 3 else 0.0))
    run_job(load_job({**JOB, "results": str(tmp_path)}))
    assert table(cell_of(tmp_path)) == table(cell_of(whole / "results")) and not list(
        tmp_path.rglob(lease.NAME)
    )


def test_a_claim_from_the_future_does_not_last_until_then(tmp_path, monkeypatch, capsys) -> None:
    """The file server's clock was set back by a day, and the holder on another host is gone."""
    cell = Store(tmp_path).cell("0123")
    cell.path.mkdir()
    claim = cell.path / lease.NAME
    claim.write_text(
        '{"host": "elsewhere", "space": "", "pid": 1, "started": "1.00", "token": "theirs"}'
    )
    os.utime(claim, (time.time() + 86400,) * 2)
    with pytest.raises(lease.Busy), cell.claim():
        pytest.fail("taken at once")
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    monkeypatch.setattr(lease, "time", clock)
    with cell.claim(wait=True):
        assert lease.LEASE < sum(slept) <= lease.LEASE + 2 * lease.WAIT
        assert "theirs" not in claim.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("writable", [True, False])
def test_two_users_share_a_store(writable: bool, whole, tmp_path) -> None:
    """A second user extends the first one's cell where the folder allows it, or is refused.

    The same is done once before, so that all code is loaded: the second user may not be allowed to
    read it.
    """
    more = {**JOB, "measure": {**JOB["measure"], "seeds": 3}}
    shutil.copytree(whole / "results", tmp_path / "before")
    run_job(load_job({**more, "results": str(tmp_path / "before")}))
    shared = Path(f"/tmp/bfc-shared-{os.getpid()}-{writable}")
    shutil.copytree(whole / "results", shared)
    cell_path = cell_of(shared)
    for path in (shared, cell_path):
        path.chmod(0o777 if writable else 0o755)
    try:
        before = (cell_path / "trainings.parquet").read_bytes()
        child = os.fork()
        if not child:
            try:
                os.setuid(65534)
                run_job(load_job({**more, "results": str(shared)}))
                text = "done"
            except BaseException as error:
                text = explain(error) or repr(error)
            os.write(os.open(shared.with_suffix(".reply"), os.O_WRONLY | os.O_CREAT), text.encode())
            os._exit(0)
        os.waitpid(child, 0)
        text = shared.with_suffix(".reply").read_text()
        if writable:
            assert text == "done"
            assert len(table(cell_path)) == 3 and table(cell_path) == table(
                cell_of(tmp_path / "before")
            )
            assert table(cell_path)[:2] == table(cell_of(whole / "results"))
        else:
            assert (
                "cannot be written (Permission denied)" in text
                and (cell_path / "trainings.parquet").read_bytes() == before
            )
    finally:
        shutil.rmtree(shared)
        shared.with_suffix(".reply").unlink(missing_ok=True)
