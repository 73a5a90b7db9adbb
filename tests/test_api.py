"""The library: a table and n* in a few lines, equal to what the command line measures."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import ROOT, environment, run
from packaging.requirements import Requirement

import bfc
from bfc.errors import UserError
from bfc.experiment.components import class_paths
from bfc.schedules import Schedule

TARGET = bfc.targets.QuadraticDenseNet(d=4, L=3, widths=(4, 2), alpha=(1.0, 0.5))
METHOD = bfc.Method(
    bfc.learners.QuadraticDenseNet(),
    optimizer=bfc.Adam(lr=0.01, batch=8, warmup=2),
    steps=20,
)
LINE = (
    "target.d=4",
    "target.widths=[4,2]",
    "target.alpha=[1.0,0.5]",
    "schedule.steps=20",
    "optimizer.batch=8",
    "optimizer.warmup=2",
    "measure.n=[16,32]",
    "measure.seeds=2",
    "probe=none",
    "compute.device=cpu",
)
KERNEL = bfc.baselines.Polynomial(degree=2, n_max=64)
ALLOWED = ("torch", "numpy", "pandas", "scipy")
"""What the library needs; their own dependencies come with them."""
BARE = """
import sys
import bfc
target = bfc.targets.QuadraticDenseNet(d=4, L=3, widths=(4, 2), alpha=(1, 0.5))
optimizer = bfc.Adam(lr=0.01, batch=8, warmup=2)
for schedule in ("staged", "layerwise"):
    method = bfc.Method(bfc.learners.QuadraticDenseNet(), schedule, optimizer, steps=10)
    runs = bfc.run(target, method, n=[16, 32], seeds=2)
    print(len(runs), bfc.nstar(runs, eps=0.1))
curves = bfc.curve(target, bfc.baselines.Polynomial(degree=2, n_max=40), seeds=1, test=256)
fit = bfc.fit_exponent(curves, eps=0.1)
try:
    bfc.targets.Parity(d=4.0)
except ValueError as error:
    assert str(error) == "target.d=4.0: must be an integer", error
else:
    raise AssertionError("d=4.0 was accepted")
print(len(curves), type(fit).__name__)
for absent in ("hydra", "yaml", "pydantic", "pyarrow", "matplotlib", "wandb", "sklearn"):
    try:
        __import__(absent)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{absent} can be imported, so this environment is not bare")
"""


def link_bare_environment(folder: Path) -> None:
    """Fill a folder with links to :data:`ALLOWED` and what they need, as site-packages would be."""
    pending, names = list(ALLOWED), set()
    while pending:
        name = pending.pop().lower()
        if name in names:
            continue
        names.add(name)
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(distribution.locate_file(top))
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(requirement.name)


def runs(**changes) -> pd.DataFrame:
    return bfc.run(TARGET, METHOD, n=[16, 32], seeds=2, device="cpu", **changes)


def test_a_run_is_what_the_command_line_measures(tmp_path):
    done = run(*LINE, cwd=tmp_path)
    assert done.status == 0, done.err
    stored = bfc.load(tmp_path / "results")
    measured = runs()
    keys = ["kind", "n", "seed"]
    for column in ("risk", "train_risk", "outcome"):
        ours = measured.sort_values(keys)[column].tolist()
        theirs = stored.sort_values(keys)[column].tolist()
        assert ours == theirs, column
    assert set(measured["method"]) == set(stored["method"])


def test_a_store_is_shared_with_the_command_line(tmp_path):
    assert run(*LINE, cwd=tmp_path).status == 0
    before = sorted(path.name for path in (tmp_path / "results").iterdir())
    again = runs(results=tmp_path / "results")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == before
    assert len(again) == len(bfc.load(tmp_path / "results"))


def test_nothing_is_written_without_a_results_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs()
    assert not list(tmp_path.iterdir())


def test_nstar_says_where_learning_starts():
    table = pd.DataFrame(
        {
            "n": np.repeat([10, 20, 40, 80, 160], 8),
            "seed": np.tile(np.arange(8), 5),
            "risk": np.repeat([0.9, 0.8, 0.05, 0.04, 0.01], 8),
            "train_risk": 0.001,
            "kind": "training",
            "diverged": False,
        }
    )
    nstar = bfc.nstar(table, eps=0.1)
    assert 20 <= nstar.lo < nstar.value < nstar.hi <= 40
    assert str(nstar) == f"{nstar.value:.0f} [{nstar.lo:.0f}, {nstar.hi:.0f}]"
    censored = bfc.nstar(table.assign(risk=0.9), eps=0.1)
    assert censored.censored == "right" and str(censored).startswith(">")
    assert str(bfc.nstar(table.assign(risk=0.01), eps=0.1)).startswith("<")


def test_several_targets_make_one_table():
    targets = [bfc.targets.Parity(d=d, degree=2) for d in (5, 7)]
    kernel = bfc.baselines.Polynomial(degree=2, n_max=64)
    table = bfc.curve(targets, kernel, seeds=2, test=256)
    assert sorted(set(table["d"])) == [5, 7]
    with pytest.raises(UserError, match="hold several values of d"):
        bfc.nstar(table, eps=0.1)


def test_a_measure_replaces_n_and_seeds():
    from bfc.measure.adaptive import Adaptive

    measure = Adaptive(rounds=1, replicas=4, n_min=16, n_max=64, confirm=0)
    table = bfc.run(TARGET, METHOD, measure=measure, device="cpu")
    assert len(table) == 4 and table["n"].between(16, 64).all()


def test_fresh_samples():
    table = bfc.run(TARGET, METHOD, n="fresh", seeds=2, device="cpu")
    assert set(table["fresh"]) == {True}


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: bfc.run(TARGET, METHOD), "n: is missing"),
        (lambda: bfc.run(TARGET, METHOD, n="all"), "n=all: must be a list"),
        (lambda: bfc.run(TARGET, METHOD, n=[16], seeds=0), "^seeds=0: must be a count"),
        (lambda: bfc.run(TARGET, METHOD, n=[1]), "^n=.1.: must be integers from 2"),
        (lambda: bfc.run(TARGET, METHOD, n=[16, -5]), r"^n=\[16, -5\]: must be integers from 2"),
        (lambda: bfc.run(TARGET, METHOD, n=16, test=2), "^test=2: must be an integer from 16"),
        (lambda: bfc.run(TARGET, METHOD, n=[16, "x"]), "^n=.16, x.: must be a list of integers"),
        (lambda: bfc.run(TARGET, METHOD, n=16, eps="x"), "^eps=x: must be a list of numbers"),
        (lambda: bfc.run(TARGET, METHOD, n=16, stack="all"), "^stack=all: must be an integer"),
        (lambda: bfc.run(TARGET, METHOD, n=16, dtype="float16"), "^dtype=float16: must be"),
        (lambda: bfc.run(TARGET, METHOD, n=16, compile="yes"), "^compile=yes: must be auto, never"),
        (lambda: bfc.run(TARGET, METHOD, n=16, device="tpu"), "^device=tpu: must be auto"),
        (lambda: bfc.run(TARGET, METHOD, n=16, results=""), "^results=: must be a folder name"),
        (lambda: bfc.run(TARGET, METHOD, measure="adaptive"), "^measure=adaptive: must be None"),
        (lambda: bfc.run("parity", METHOD, n=16), "^target=parity: must be a target"),
        (lambda: bfc.run([], METHOD, n=16), "^target=..: must be a target"),
        (lambda: bfc.run(TARGET, KERNEL, n=16), "a baseline is measured with bfc.curve"),
        (lambda: bfc.run(TARGET, METHOD.learner, n=16), "for instance bfc.Method"),
        (lambda: bfc.curve(TARGET, METHOD), "a bfc.Method is trained with bfc.run"),
        (lambda: bfc.curve(TARGET, KERNEL, test=2), "^test=2: must be an integer from 16"),
        (lambda: bfc.Method("mlp"), "^learner=mlp: must be a learner"),
        (lambda: bfc.Method(METHOD.learner, 3), "^schedule=3: must be the name of a schedule"),
        (lambda: bfc.Method(METHOD.learner, optimizer="adam"), "^optimizer=adam: must be"),
        (lambda: bfc.Method(METHOD.learner, probe=3), "^probe=3: must be None or a probe"),
        (lambda: bfc.run(TARGET, bfc.Method(METHOD.learner, steps=0), n=16), "^steps=0: must be"),
        (lambda: bfc.nstar([1], eps=0.1), "^runs=.1.: must be a table"),
        (lambda: bfc.load("/nonexistent"), "^results=/nonexistent: must be a results folder"),
        (lambda: bfc.compose(3), "^override=3: must be a text"),
        (
            lambda: bfc.run(TARGET, bfc.Method(METHOD.learner, "stagd"), n=[16]),
            "did you mean staged",
        ),
        (
            lambda: bfc.run(bfc.targets.Parity(d=5, degree=2), METHOD, n=[16]),
            "learner",
        ),
        (
            lambda: bfc.Method(METHOD.learner, Schedule(()), steps=3).resolve_schedule(),
            "schedule.phases",
        ),
        (lambda: bfc.compose("target.d=4,5"), "must be one, a list"),
        (lambda: bfc.compose("target=rdial"), "did you mean radial"),
        (lambda: bfc.compose("+sweeps=bfc_chain"), "is a sweep of 4 jobs"),
    ],
)
def test_invalid_values_are_one_sentence(ask, sentence):
    with pytest.raises(UserError, match=sentence.replace("(", r"\(")):
        ask()


def test_a_composed_job_is_that_of_the_command_line():
    job = bfc.compose(
        "target=radial", "target.d=7", "learner=mean_field", "schedule=joint", "probe=none"
    )
    assert job.target.d == 7 and type(job.learner).__name__ == "MeanField"


def test_one_n_and_one_eps_are_lists_of_one():
    table = bfc.run(TARGET, METHOD, n=16, seeds=[3], eps=0.5, device="cpu")
    training = table[table["kind"] == "training"]
    assert training["n"].tolist() == [16] and training["seed"].tolist() == [3]


def test_the_threads_of_torch_are_those_of_before():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        bfc.run(TARGET, METHOD, n=16, seeds=1, device="cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_folders_that_cannot_be_read_are_left_out_with_a_warning(tmp_path):
    runs(results=tmp_path / "results")
    cell = next((tmp_path / "results").iterdir())
    broken = tmp_path / "results" / "broken"
    broken.mkdir()
    for file in cell.iterdir():
        if file.is_file():
            (broken / file.name).write_text("no such thing")
    with pytest.warns(UserWarning, match="left out: .*broken"):
        assert len(bfc.load(tmp_path / "results")) > 0


PACKAGES = [name for name in dir(bfc) if hasattr(getattr(bfc, name), "__path__")]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_offers_its_components_and_nothing_else(package: str) -> None:
    offered = getattr(bfc, package)
    names = [name for name in dir(offered) if name[0].isupper()]
    assert names
    for name in names:
        assert "identity_name" in getattr(offered, name).__dict__, name


def test_the_options_of_every_group_are_offered() -> None:
    groups = {"target", "task", "representation", "learner", "optimizer", "probe", "baseline"}
    for group in sorted(groups):
        for path in class_paths(group).values():
            package, name = path.split(".")[1], path.rpartition(".")[2]
            assert name in dir(getattr(bfc, package)), path


def test_names_are_offered_and_unknown_ones_are_not():
    assert "QuadraticDenseNet" in dir(bfc.targets) and "run" in dir(bfc)
    assert not hasattr(bfc.targets, "ParityDraw")
    for missing in ("Nothing", "_private"):
        assert not hasattr(bfc.targets, missing) and not hasattr(bfc, missing)


def test_the_library_works_where_only_torch_numpy_pandas_and_scipy_are_installed(tmp_path):
    """In a process that sees nothing else: no site-packages, only links to these packages."""
    site = tmp_path / "site"
    site.mkdir()
    link_bare_environment(site)
    (site / "bfc").symlink_to(ROOT / "bfc")
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", BARE],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(site)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("6 "), done.stdout


def test_the_package_offers_what_its_api_lists():
    """The package keeps a list, since ``import bfc`` loads none of the functions."""
    from bfc import api

    assert set(api.__all__) <= set(dir(bfc))
    assert all(getattr(bfc, name) is getattr(api, name) for name in api.__all__)
