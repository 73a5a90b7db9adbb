"""One foreign, damaged or half-copied thing never stops work on the others, and is named.

Kinds of damage to a cell or a launch, most of which root cannot read either, against everything
that reads a store; and a store of which another user may not read a part.
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import TINY, bfc, container

from analysis.load import load_results
from bfc.application.launch_completion import complete_launch
from bfc.errors import UserError
from bfc.experiment import cost
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.hydra_errors import explain
from bfc.launch.job import plan_job
from bfc.launch.launch_list import find_launch, list_launches
from bfc.launch.options import LocalOptions
from bfc.launch.plan import create_launch, make_plan, summarise_plan
from bfc.launch.status import CellState, cell_statuses
from bfc.studies import study_node
from bfc.trackers.sync import list_runs


def tiny(results: Path, d: int) -> dict:
    return {**container(*TINY, "measure.n=16", f"target.d={d}"), "results": str(results)}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9])


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00[")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


DAMAGES: tuple[Callable[[Path], None], ...] = (cut, garble, make_folder, make_loop, Path.unlink)
CELL_FILES = ("config.yaml", "requests.json", "status.json", "trainings.parquet")
LAUNCH_FILES = ("manifest.json", "jobs.json")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A store of two cells and two launches."""
    results = tmp_path_factory.mktemp("whole") / "results"
    jobs = [plan_job((f"target.d={d}",), tiny(results, d)) for d in (4, 5)]
    for job in jobs:
        run_job(job.job)
    for _ in range(2):
        create_launch(make_plan(jobs), "local", LocalOptions(), frozen=False)
    return results


@pytest.fixture
def store(whole, tmp_path) -> tuple[Path, str, str]:
    """A copy of the store, the cell (d = 4) that will be damaged, and the other."""
    results = Path(shutil.copytree(whole, tmp_path / "results"))
    damaged, other = (plan_job((), tiny(results, d)).cells[0].cell_id for d in (4, 5))
    return results, damaged, other


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", CELL_FILES)
def test_a_damaged_cell_is_named_and_the_other_is_used(name: str, damage, store) -> None:
    results, damaged, other = store
    damage(results / damaged / name)
    loaded = load_results(results)
    assert other in set(loaded.nstar["cell_id"])
    assert any(damaged in problem for problem in loaded.stored.problems)

    jobs = [plan_job((), tiny(results, d)) for d in (4, 5, 6)]
    plan = make_plan(jobs)
    assert plan.stored[1:] == [True, False]
    assert all(damaged in problem for problem in plan.problems)
    assert ("problem   " in summarise_plan(plan, 1, "core time", 1.0)) == bool(plan.problems)

    listed = list_runs(results)
    assert (other,) in [run.cells for run in listed.runs]

    launch = find_launch(results)
    states = {status.cell: status.state for status in cell_statuses(launch, lambda *_: {})}
    assert states[other] is CellState.DONE
    cost.fit_cost_model([str(results)])


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_a_damaged_launch_is_named_and_the_others_are_found(name: str, damage, store) -> None:
    results, _, _ = store
    older, newest = sorted(p for p in (results / ".launch").iterdir())
    damage(newest / name)
    status, out = bfc("status", "--results", str(results), cwd=results)
    assert status == 0 and older.name in out
    assert f"{newest.name}/{name}: " in out, "the newest is named"
    with pytest.raises(UserError, match=f"{newest.name}/{name}: "):
        find_launch(results, newest.name)
    _, out = bfc("status", "--list", "--results", str(results), cwd=results)
    assert older.name in out
    if name == "manifest.json":
        damage(older / name)
        with pytest.raises(UserError, match="no launch of this store can be read"):
            find_launch(results)


def test_what_is_no_cell_and_no_launch_is_named(store) -> None:
    results, damaged, _ = store
    (results / "notes").mkdir()
    (results / ".launch" / "notes").mkdir()
    (results / "loop").symlink_to("loop")
    assert any("notes: " in problem for problem in load_results(results).stored.problems)
    assert any("notes/manifest.json: " in problem for problem in list_launches(results).problems)
    assert damaged in {run.cells[0] for run in list_runs(results).runs}


def test_a_shell_completes_the_launches_of_a_store(store) -> None:
    results, _, _ = store
    names = sorted(path.name for path in (results / ".launch").iterdir())

    def complete(folder: object, text: str) -> list[str]:
        return complete_launch(SimpleNamespace(params={"results": folder}), text)

    assert complete(str(results), "") == names[::-1]
    assert complete(str(results), names[0][-4:]) == [names[0]]
    assert complete(str(results / "nowhere"), "") == complete(None, "") == []
    assert complete("s3://bucket", "") == []


def test_where_nothing_can_be_read_the_first_reason_is_given(store) -> None:
    results, damaged, other = store
    for cell in (damaged, other):
        garble(results / cell / "trainings.parquet")
    jobs = [plan_job((), tiny(results, d)) for d in (4, 5)]
    with pytest.raises(UserError, match="cannot be read as a results table"):
        make_plan(jobs)
    with pytest.raises(UserError, match="2 folders skipped, the first: "):
        load_results(results)


@pytest.mark.filterwarnings("ignore:os.fork")  # what loaded threads before is left alone
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("closed", ["cell", "file", "launch", "events", "launches"])
def test_what_another_user_may_not_read(closed: str, store) -> None:
    """The same is done once before as root, so that all code is loaded."""
    results, damaged, other = store
    shared = Path(f"/tmp/bfc-closed-{os.getpid()}-{closed}")
    shutil.copytree(results, shared)
    launch = sorted((shared / ".launch").iterdir())[-1]
    places = {
        "cell": shared / damaged,
        "file": shared / damaged / "trainings.parquet",
        "launch": launch,
        "events": launch / "events",
        "launches": shared / ".launch",
    }
    _describe_store(shared, other)
    places[closed].chmod(0)
    try:
        text = _as_another_user(lambda: _describe_store(shared, other))
    finally:
        places[closed].chmod(0o755)
        shutil.rmtree(shared)
    assert f"read {other}" in text, text
    if closed in ("cell", "file"):
        assert f"problem {damaged}" in text and "launch" in text
    elif closed == "launch":
        assert f"{launch.name}/manifest.json: cannot be read (Permission denied)" in text
    elif closed == "launches":
        assert ".launch: cannot be read (Permission denied)" in text and "no launch" not in text


def _describe_store(results: Path, cell: str) -> str:
    """What a reader of the store is told, line by line."""
    loaded = load_results(results)
    lines = [f"read {cell_id}" for cell_id in loaded.nstar["cell_id"]]
    lines += [f"problem {problem}" for problem in loaded.stored.problems]
    cost.fit_cost_model([str(results)])
    assert (cell,) in [run.cells for run in list_runs(results).runs]
    try:
        listed = list_launches(results)
        lines += [*listed.problems, f"launch {find_launch(results).name}"]
        cell_statuses(find_launch(results), lambda *_: {})
    except UserError as error:
        lines.append(str(error))
    return "\n".join(lines)


def _as_another_user(describe: Callable[[], str]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setuid(65534)
            sys.stderr = open(os.devnull, "w")
            text = describe()
        except BaseException as error:
            text = explain(error) or repr(error)
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(child, 0)
    return text


STUDIES = {
    "[1, 2]": "must hold a mapping with the key study",
    "hello": "must hold a mapping with the key study",
    "study: [1]": "must hold a mapping with the key study",
    "study: {claims: 3}": "study.claims must be a list of mappings",
    "study: {figures: [1]}": "study.figures must be a list of mappings",
    "a: [": "cannot be read as YAML",
    "\x00": "cannot be read as YAML",
}


@pytest.mark.parametrize("text", STUDIES)
def test_a_malformed_study_file_is_refused_by_name(text: str, tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml: ") as refused:
        study_node("mine", tmp_path)
    assert STUDIES[text] in str(refused.value)


def test_a_report_names_a_malformed_study_file_and_draws_the_rest(store, monkeypatch) -> None:
    from analysis import study_report
    from analysis.report import write_report

    results, _, other = store
    job = {**tiny(results, 5), "study": {"name": "mine"}}
    run_job(load_job(job))

    def refuse(name: str) -> dict:
        raise UserError(f"{name}.yaml: cannot be read as YAML")

    monkeypatch.setattr(study_report, "study_node", refuse)
    written = write_report(results, results.parent / "out", claims={})
    assert "mine.yaml: cannot be read as YAML; its claims and figures are left out" in (
        "\n".join(written.problems)
    )
    assert other in set(written.nstar["cell_id"])
