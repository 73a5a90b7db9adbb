"""Hydra's own keys and flags: each has its effect in a sweep, or is refused in a sentence.

And sweeps over what a study is built from, which are the union of the studies' cells.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import TINY, bfc, run
from hydra.core.utils import JobReturn

from bfc.hydra_plugins.local_launcher import LocalLauncher
from bfc.launch.job import PlannedJob

STUDY = """# @package _global_
study:
  name: {name}
  size: {size}
  sizes:
    small: [{{target.d: "{first}"}}]
    large: [{{target.d: "{first}"}}, {{target.d: 8, schedule: "staged,joint"}}]
    9: [{{target.d: 9}}]
    interpolated: [{{target.d: "${{measure.test}}"}}]
"""
DRY = "hydra.launcher.dry_run=true"


@pytest.fixture
def studies(tmp_path) -> str:
    """The option for a folder of two studies, of 2 and of 3 cells in their small size."""
    folder = tmp_path / "config" / "sweeps"
    folder.mkdir(parents=True)
    (folder / "two.yaml").write_text(STUDY.format(name="two", size="small", first="4,5"))
    (folder / "three.yaml").write_text(STUDY.format(name="three", size="small", first="5,6,7"))
    return f"--config-dir {tmp_path / 'config'}"


SWEEPS = {
    "+sweeps=two": (["two"], 2),
    "+sweeps=three": (["three"], 3),
    "+sweeps=two,three": (["two", "three"], 5),
    "+sweeps=[two,three]": (["two", "three"], 5),
    "'+sweeps=choice(two,three)'": (["two", "three"], 5),
    "'+sweeps=glob(t*o)'": (["two"], 2),
    "'+sweeps=glob(t*,exclude=two*)'": (["three"], 3),
    "+sweeps=two,three study.size=large": (["two", "three"], 9),
    "+sweeps=two study.size=small,large": (["two"], 6),
    "+sweeps=two,three study.size=small,9": (["two", "three"], 7),
    "+sweeps=two study.size=9": (["two"], 1),
    "+sweeps=two,three target.d=4": (["two", "three"], 2),
    "+sweeps=two optimizer.lr=0.01,1e-2": (["two"], 2),
    "+sweeps=two study.size=interpolated measure.test=64,65": (["two"], 2),
    "'hydra.sweeper.params={+sweeps:two,study.size:large}'": (["two"], 4),
}
"""Arguments → the studies of the jobs, and their number."""


@pytest.mark.parametrize("line", SWEEPS)
def test_a_sweep_over_studies_is_the_union_of_their_cells(
    line: str, studies, tmp_path, monkeypatch
) -> None:
    arguments = [*shlex.split(studies), *shlex.split(line)]
    names, count = SWEEPS[line]
    jobs = _expand(arguments, tmp_path, monkeypatch)
    assert sorted({planned.job.study_name for planned in jobs}) == sorted(names)
    assert len(jobs) == count


def _expand(arguments: list[str], cwd: Path, monkeypatch) -> list[PlannedJob]:
    """What the launcher is handed."""
    handed: list[PlannedJob] = []

    def keep(launcher: LocalLauncher, jobs: Sequence[PlannedJob]) -> list[JobReturn]:
        handed.extend(jobs)
        return []

    monkeypatch.setattr(LocalLauncher, "launch_plan", keep)
    given = {text.partition("=")[0] for text in arguments}
    tiny = [text for text in TINY if text.partition("=")[0] not in {"target.d", *given}]
    done = run("-m", *arguments, *tiny, cwd=cwd)
    assert done.status == 0, done.err
    return handed


def test_a_key_of_a_swept_group_need_not_be_one_of_the_default_option(
    tmp_path, monkeypatch
) -> None:
    jobs = _expand(["baseline=ntk,rbf", "baseline.n_max=64"], tmp_path, monkeypatch)
    baselines = [planned.job.baseline for planned in jobs]
    assert [(type(part).__name__, part.n_max) for part in baselines] == [("NTK", 64), ("RBF", 64)]


REFUSED = {
    "target.d=1_000": "target.d=1_000: would be read as 1000; must be written without the",
    "-m target.d=8,1_6": "target.d=8,1_6: would be read as 8,16; must be written without the",
    "results=2024_01": "results=2024_01: would be read as 202401",
    "-m baseline=ntk,rbf baseline.bias=1": "baseline.bias: no such key with baseline=rbf, only",
    "-m +sweeps=two,nope": "sweeps=nope: no such option",
    "-m +sweeps=two,three study.size=nope": "study.size=nope: no such size; allowed: 9, inter",
    "-m +sweeps=two,three study.siz=small": "study.siz",
    "-m +sweeps=two study.size=[small]": "study.size=[small]: must be the name of one size",
    "-m +sweeps=two study=text": "study: must hold a name, a size and the sizes of a file",
    "-m +sweeps=[]": "+sweeps=[]: names no study",
    "-m ~sweeps +sweeps=two": "~sweeps: takes the study away",
    "+sweeps=two,three": "is more than one value; must be one, or a sweep with -m",
    "target=parity,radial": "is more than one value; must be one, or a sweep with -m",
    "-m 'results=out/${hydra:job.nam}'": "is not known in a sweep; allowed: job.num",
    "-m +hydra.job.env_set.X=1": "has no effect with the launchers local and slurm; export the",
    "-m hydra.job.chdir=true": "hydra.job.chdir=true: has no effect with the launchers",
    "-m hydra.output_subdir=x": "hydra.output_subdir=x: has no effect with the launchers",
    "-m hydra.sweep.dir=x": "results=<folder> says where results go",
    "-m hydra.sweep.subdir=x": "results=<folder> says where results go",
    "-m --cfg job": "--cfg, --info, --multirun (-m), --run and --shell-completion exclude each",
    "-m --info": "exclude each other",
    "--cfg job --info": "exclude each other",
    "--resolve": "--resolve: must be used with --cfg",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_has_no_effect_is_refused_in_a_sentence(line: str, studies, tmp_path) -> None:
    done = run(*shlex.split(studies), *shlex.split(line), cwd=tmp_path)
    assert REFUSED[line] in done.sentence
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


@pytest.mark.parametrize("launcher", ["local", "basic"])
@pytest.mark.parametrize("chosen", ["two", "two,three"])
def test_a_sweeper_that_knows_no_studies_is_refused_one(chosen, launcher, studies, tmp_path):
    """It would run one default job under the study's name."""
    options = [f"+sweeps={chosen}", "hydra/sweeper=basic", f"hydra/launcher={launcher}"]
    done = run("-m", *shlex.split(studies), *options, *TINY, cwd=tmp_path)
    assert done.status == 2
    assert "+sweeps=two: is a study of many cells; must be run with hydra/sweeper=study" in done.err
    assert not list(tmp_path.rglob("*.parquet"))


def test_jobs_are_numbered_for_hydra_as_they_are_planned(tmp_path) -> None:
    """The names of Hydra's own node resolve before anything runs, also where workers run it."""
    line = ["results=out/${hydra:job.num}", "target.d=4,5", DRY]
    done = run("-m", *TINY, *line, cwd=tmp_path)
    assert done.status == 0 and "2 (2 cells)" in done.out
    done = run("-m", *TINY, "hydra.job.env_copy=[HOME]", DRY, cwd=tmp_path)
    assert done.status == 0, "jobs have the whole environment"
    done = run(*TINY, "results=${hydra:job.name}", cwd=tmp_path)
    assert done.status == 0 and (tmp_path / "train").is_dir()


@pytest.mark.parametrize("name", ["basic", "submitit_local"])
@pytest.mark.parametrize("command", ["plan", "launch"])
def test_a_launcher_that_cannot_plan_is_refused(command: str, name: str, tmp_path) -> None:
    status, out = bfc(command, *TINY, f"hydra/launcher={name}", cwd=tmp_path)
    assert status == 2
    assert out.startswith(f"hydra/launcher={name}: ") and "allowed: local, slurm" in out


@pytest.mark.parametrize("flags", [[], ["-m"], ["--multirun"]])
def test_a_plan_takes_the_flags_of_a_sweep(flags, studies, tmp_path) -> None:
    status, out = bfc("plan", *flags, *shlex.split(studies), "+sweeps=two", *TINY, cwd=tmp_path)
    assert status == 0 and "1 (1 cells)" in out, "target.d is set for all blocks"


MALFORMED = {
    "[1, 2]": "is no study; its first line must be # @package _global_",
    "": "is no study; its first line must be # @package _global_",
    "# @package _global_\n[1, 2]": "is no study; must be a mapping with the key study",
    "# @package _global_\ntarget: 3": "is no study; must be a mapping with the key study",
    "# @package _global_\nstudy: [1]": "study: must hold a name, a size and the sizes",
    "# @package _global_\nstudy: {size: a, sizes: [1]}": "study: must hold a name, a size and",
    "# @package _global_\nstudy: {size: a, sizes: {a: [3]}}": "study.sizes.a: must be a list of",
    "# @package _global_\nstudy: {size: a, sizes: {a: []}}": "study.sizes.a: must be a list of",
    "# @package _global_\nstudy: {size: a, sizes: {a: [{3: 4}]}}": "3: is no key of a",
    "# @package _global_\nstudy: {name: [x], size: a, sizes: {a: [{target.d: 4}]}}": "with a name",
    "# @package foo bar\nstudy: 1": "cannot be read as a configuration",
    "a: [": "line 1: cannot be read as YAML",
    "\xff": "cannot be read as a configuration",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_study_is_refused_in_a_sentence(text: str, tmp_path) -> None:
    folder = tmp_path / "config" / "sweeps"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_bytes(text.encode("latin-1"))
    options = ["--config-dir", str(tmp_path / "config")]
    done = run("-m", *options, "+sweeps=mine", DRY, cwd=tmp_path / "work")
    assert MALFORMED[text] in done.sentence
