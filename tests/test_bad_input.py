"""Invalid input is refused with one sentence on standard error and a non-zero exit status.

The sentence names the key, the value and what is allowed. There is nothing else: no traceback, no
line of Hydra's, no file.
"""

import dataclasses
import itertools
import os
import shlex
import stat
import subprocess
import sys
import typing
from typing import Any

import pytest
import torch
from commands import TINY, container, environment, process, run
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from refusals import LINES, VALUES

from bfc.environment import resolve_device
from bfc.errors import UserError
from bfc.experiment.components import GROUPS, component
from bfc.experiment.job import Job, load_job
from bfc.hydra_plugins import choices
from bfc.hydra_plugins.choices import list_options
from bfc.hydra_plugins.hydra_errors import describe_unknown_key
from bfc.paths import CONF


def chooses_group(override: Override) -> bool:
    """Whether an override chooses an option of a group, as ``target=radial`` does."""
    return (
        override.key_or_group in GROUPS
        and isinstance(override.value(), str)
        and not override.is_delete()
    )


def load(line: str) -> Job:
    """The composed job with overrides applied to it; raises UserError where it is refused."""
    overrides = OverridesParser.create().parse_overrides(line.split())
    groups = [override for override in overrides if chooses_group(override)]
    values = container(*(f"{group.key_or_group}={group.value()}" for group in groups))
    for override in overrides:
        if override in groups:
            continue
        *path, last = override.key_or_group.split(".")
        node = values
        for key in path:
            node = node[key]
        if override.is_delete():
            del node[last]
        else:
            node[last] = override.value()
    return load_job(values)


@pytest.mark.parametrize("line", VALUES)
def test_a_bad_value_is_refused_with_its_key_value_and_range(line: str) -> None:
    with pytest.raises(UserError) as refused:
        load(line)
    assert VALUES[line] in str(refused.value)


@pytest.mark.parametrize("line", LINES)
def test_a_bad_command_line_is_one_sentence_and_leaves_nothing(line: str, tmp_path) -> None:
    sentence = run(*shlex.split(line), cwd=tmp_path).sentence
    assert LINES[line] in sentence
    assert not list(tmp_path.iterdir())


def test_the_composed_job_itself_is_accepted() -> None:
    """Otherwise the refusals above would prove nothing."""
    assert load("target.d=16").target.d == 16
    assert load("baseline=polynomial").baseline.degree == 4


GARBAGE = [
    float("nan"),
    float("inf"),
    float("-inf"),
    -1,
    0,
    1,
    1.5,
    10**30,
    -(10**30),
    1e308,
    "",
    " ",
    "abc",
    "../..",
    None,
    True,
    [],
    {},
    [None],
    [[]],
    [[[1]]],
    {"a": 1},
    [1, "a"],
    [float("nan")],
    [-1],
    ["é\n"],
    list(range(100)),
]


@pytest.mark.parametrize("group", GROUPS)
def test_every_key_of_every_component_takes_any_garbage_without_a_fault(group: str, node) -> None:
    """A value is accepted, or refused in one sentence that names the group.

    A component that is added later is tried as well.
    """
    options = [name for name in node_names(group) if node(group, name).get("_target_")]
    refusals = 0
    for option in options:
        config = container() if group == "compute" else container(f"{group}={option}")
        for key, value in itertools.product(config[group], GARBAGE):
            message = refusal(config, group, {**config[group], key: value})
            if message is None:
                continue
            refusals += 1
            assert len(message) < 2500
            names = (group, "learner=", "schedule", "optimizer.")
            assert any(name in message for name in names), (option, key, value, message)
    assert refusals > 10 or not options


def refusal(config: dict[str, Any], group: str, node: dict[str, Any]) -> str | None:
    """Why a configuration with another node of a group is refused; None where it is accepted."""
    try:
        if component(group, node) is not None:
            load_job({**config, group: node})
    except UserError as error:
        return str(error)
    return None


def node_names(group: str) -> list[str]:
    return sorted(list_options(group))


def test_every_numeric_key_refuses_a_text_a_list_and_not_a_number(node) -> None:
    tried = 0
    for group in GROUPS:
        for option in node_names(group):
            path = node(group, option).get("_target_")
            if not path:
                continue
            cls = type(component(group, node(group, option)))
            hints = typing.get_type_hints(cls)
            for field in dataclasses.fields(cls):
                if hints[field.name] not in (int, float, int | None, float | None):
                    continue
                for value in ("text", [1], float("nan"), float("inf"), {}):
                    with pytest.raises(UserError, match=rf"{group}\.{field.name}="):
                        component(group, {**node(group, option), field.name: value})
                        pytest.fail(f"{group}={option}: {field.name}={value} was accepted")
                    tried += 1
    assert tried > 100


def test_a_gpu_that_torch_does_not_see_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sentence = run(*TINY, "compute.device=cuda", cwd=tmp_path).sentence
    assert "compute.device=cuda: torch" in sentence
    assert "sees no GPU" in sentence
    assert "compute.device=cpu" in sentence
    sentence = run(*TINY, "compute.device=cuda:1", cwd=tmp_path).sentence
    assert "compute.device=cuda:1: torch" in sentence
    assert not list(tmp_path.iterdir())


def test_a_gpu_that_slurm_granted_and_torch_does_not_see_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    sentence = run(*TINY, "compute.device=auto", cwd=tmp_path).sentence
    assert "SLURM granted GPU 3 but torch" in sentence and "set compute.device=cpu" in sentence
    assert not list(tmp_path.iterdir())
    assert resolve_device("cpu").type == "cpu"
    for devices in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
        assert resolve_device("auto").type == "cpu"


def test_a_gpu_beyond_those_there_are_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"compute\.device=cuda:9: must be below cuda:2"):
        resolve_device("cuda:9")
    assert str(resolve_device("cuda:1")) == "cuda:1" and str(resolve_device("auto")) == "cuda"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore advice"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 9"
        ),
    ],
)
def test_where_memory_does_not_suffice_it_says_what_to_make_smaller(
    error: Exception, tmp_path, monkeypatch
) -> None:
    def full(*_, **__):
        raise error

    monkeypatch.setattr("bfc.engine.stack_request.train", full)
    sentence = run(*TINY, cwd=tmp_path).sentence
    assert sentence.startswith("memory does not suffice (")
    assert "compute.stack" in sentence
    assert "must be smaller" in sentence
    monkeypatch.undo()
    assert "4 rows stored, 4 new" in run(*TINY, cwd=tmp_path).out


def test_results_must_be_a_folder(tmp_path) -> None:
    (tmp_path / "taken").write_text("mine")
    for arguments in (["results=taken"], ["results=taken/below"], ["-m", "results=taken"]):
        sentence = run(*TINY, *arguments, cwd=tmp_path).sentence
        assert "must be a folder, and taken is none" in sentence
    (tmp_path / "dangling").symlink_to("nowhere")
    sentence = run(*TINY, "results=dangling", cwd=tmp_path).sentence
    assert "results=dangling: must be a folder" in sentence
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "dangling"}
    assert (tmp_path / "taken").read_text() == "mine"


def test_results_that_cannot_be_written_are_refused(tmp_path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    if os.getuid() == 0:
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(locked)], capture_output=True
        ).returncode:
            pytest.skip(
                "root writes everywhere, and mounting a read-only file system is not allowed here"
            )
    else:
        locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        sentence = run(*TINY, "results=locked/results", cwd=tmp_path).sentence
        assert "locked/results" in sentence and "cannot be written (" in sentence
        assert not list(locked.iterdir())
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", str(locked)], check=True)
        else:
            locked.chmod(stat.S_IRWXU)


def test_one_bad_cell_of_a_sweep_stops_all_of_it_before_anything_is_trained(tmp_path) -> None:
    """As a process, since workers would be processes too."""
    done = process("-m", *TINY, "target.d=4,5,6", "target.widths=[4,2],[9,2]", cwd=tmp_path)
    assert done.sentence == "target.widths=[9, 2]: must be such that k_2 <= target.d = 4"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["target.d=abc"], "target.d=abc: must be an integer"),
        (["target.d=${foo}"], "target.d: Interpolation key 'foo' not found"),
        (
            ["hydra.launcher.x=1"],
            "hydra.launcher.x: no such key; allowed: ask_above, confirmed, detach, dry_run",
        ),
    ],
)
def test_a_real_process_says_it_too(arguments: list[str], expected: str, tmp_path) -> None:
    done = process(*arguments, cwd=tmp_path, HYDRA_FULL_ERROR="0")
    assert expected in done.sentence
    assert not list(tmp_path.iterdir())


def test_a_hostile_class_in_a_stored_configuration_is_never_run(tmp_path) -> None:
    """A stored config.yaml is never instantiated, and is refused as a configuration to run."""
    hostile = tmp_path / "results" / "0123"
    hostile.mkdir(parents=True)
    (hostile / "config.yaml").write_text(
        "target: {_target_: os.system, command: touch pwned}\nlearner: {_target_: builtins.eval}\n"
    )
    (hostile / "object.yaml").write_text(
        "target: !!python/object/apply:os.system ['touch pwned']\n"
    )
    quiet = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none")
    sentences = [
        run("--config-path", str(hostile), *quiet, cwd=tmp_path).sentence,
        run("--config-path", str(hostile), "--config-name", "object", cwd=tmp_path).sentence,
        run("--config-dir", str(hostile), "--config-name", "object", cwd=tmp_path).sentence,
    ]
    assert "target._target_=os.system: must be a target class of this package" in sentences[0]
    assert all(
        "object.yaml" in sentence or "python/object" in sentence for sentence in sentences[1:]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert len(list(hostile.iterdir())) == 2


def test_the_environment_of_the_processes_holds_no_key() -> None:
    assert not [name for name in environment() if name.startswith("WANDB_")]


def test_a_key_that_a_yaml_leaves_at_its_default_is_set_with_a_plus(tmp_path, monkeypatch) -> None:
    (tmp_path / "schedule").mkdir()
    (tmp_path / "config.yaml").write_text((CONF / "config.yaml").read_text())
    lines = (CONF / "schedule" / "joint.yaml").read_text().splitlines()
    without = [line for line in lines if not line.startswith("patience")]
    (tmp_path / "schedule" / "joint.yaml").write_text("\n".join(without))
    monkeypatch.setattr(choices, "CONF", tmp_path)
    monkeypatch.setattr(sys, "argv", ["bfc-train", "schedule=joint", "schedule.patience=3"])
    assert describe_unknown_key("schedule.patience") == (
        "schedule.patience: joint.yaml leaves it at its default; set it with +schedule.patience=3"
    )
    assert describe_unknown_key("schedule.patienc").startswith("schedule.patienc: no such key;")
    assert describe_unknown_key("schedule.steps").startswith("schedule.steps: no such key;")
