"""Shared by all tests: every YAML of a group of ``conf/`` becomes a case by existing.

A test that takes an argument ``<group>_name`` (``target_name``, ``schedule_name`` ...) runs once
per option of that group and receives its name; ``learner_on_target`` gives (learner, target) names
where the learner accepts the target, ``learner_target_schedule`` (learner, target, schedule) names:
every schedule that fits a learner on the first target it accepts, and the first such schedule on
its other targets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
from sampling import sample_items
from temporary_folder import use_temporary_folder
from torch import Tensor
from workers import spread_over_workers

from bfc.errors import UserError
from bfc.experiment.components import GROUPS, component
from bfc.experiment.job import check_outputs
from bfc.messages import show_messages
from bfc.store.cells import Cell, Store
from bfc.types import Learner, Stage, Target
from bfc.yaml_text import parse_yaml

pytest.register_assert_rewrite("slurm_scenes", "page_scene", "browser")
os.environ["BFC_ESTIMATES"] = (
    "off"  # estimates are computed, also by estimators that a test changes
)
CONF = Path(__file__).parents[1] / "conf"


@cache
def _node(group: str, name: str) -> Mapping[str, Any]:
    return parse_yaml((CONF / group / f"{name}.yaml").read_text())


def _build(group: str, name: str, /, **changes: Any) -> Any:
    return component(group, {**_node(group, name), **changes})


@cache
def _options(group: str) -> list[str]:
    """Options of a group that stand for a component."""
    return [
        path.stem
        for path in sorted((CONF / group).glob("*.yaml"))
        if _node(group, path.stem).get("_target_")
    ]


@cache
def _learners_on_targets() -> list[tuple[str, str]]:
    """Names of the learners and the targets that they accept."""
    names = []
    for learner in _options("learner"):
        for target in _options("target"):
            try:
                network, teacher = _build("learner", learner), _build("target", target)
                check_outputs(network, teacher)
                network.check(teacher)
            except UserError:
                continue
            names.append((learner, target))
    return names


@cache
def _learners_targets_schedules() -> list[tuple[str, str, str]]:
    """All schedules of a learner on its first target, one on its other targets."""
    names: list[tuple[str, str, str]] = []
    learners_seen: set[str] = set()
    for learner, target in _learners_on_targets():
        count = 1 if learner in learners_seen else None
        for schedule in islice(_fitting_schedules(learner, target), count):
            names.append((learner, target, schedule))
            learners_seen.add(learner)
    return names


def _fitting_schedules(learner_name: str, target_name: str) -> Iterator[str]:
    """Names of the schedules that can train this learner on this target."""
    learner, target = _build("learner", learner_name), _build("target", target_name)
    for name in _options("schedule"):
        schedule = _build("schedule", name)
        try:
            stages = schedule.stages(learner.groups(target), learner.levels(target))
            for stage in stages:
                learner.check_present(target, stage.present)
        except UserError:
            continue
        if all(_offers(learner, target, stage) for stage in stages):
            yield name


def _offers(learner: Learner, target: Target, stage: Stage) -> bool:
    """Whether there are the penalties and the gap that a stage asks for."""
    penalties = set(stage.penalties) <= set(learner.penalties(target))
    return penalties and stage.gap in (None, *target.gaps)


CHECKED_MODULES = ("bfc.engine", "bfc.optimizers", "bfc.targets.wrapped", "bfc.learners.mlp")
"""Modules whose annotated shapes are checked at every call with ``--check-shapes``."""


def pytest_configure(config: pytest.Config) -> None:
    """Use one temporary folder, and install the import hook that checks shapes.

    Nothing of the modules whose shapes are checked is loaded before.
    """
    use_temporary_folder(config)
    if config.getoption("--check-shapes"):
        loaded = [name for name in sys.modules if name.startswith(CHECKED_MODULES)]
        assert not loaded, f"loaded before shapes could be checked: {loaded}"
        jaxtyping.install_import_hook(list(CHECKED_MODULES), "shape_checks.check_shapes")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--check-shapes",
        action="store_true",
        help="check the shapes in the annotations of the engine at every call (slower)",
    )
    parser.addoption(
        "--exhaustive",
        action="store_true",
        help="also run what is only sampled, or left out, by default",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--exhaustive``: leave out what is marked so, and sample the product batteries."""
    items[:] = spread_over_workers(items)
    if config.getoption("--exhaustive"):
        return
    marked = [item for item in items if item.get_closest_marker("exhaustive")]
    unmarked = [item for item in items if not item.get_closest_marker("exhaustive")]
    chosen, unsampled = sample_items(unmarked)
    config.hook.pytest_deselected(items=[*marked, *unsampled])
    items[:] = chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for group in GROUPS:
        if f"{group}_name" in metafunc.fixturenames:
            metafunc.parametrize(f"{group}_name", _options(group))
    if "learner_on_target" in metafunc.fixturenames:
        metafunc.parametrize("learner_on_target", _learners_on_targets(), ids="-".join)
    if "learner_target_schedule" in metafunc.fixturenames:
        metafunc.parametrize("learner_target_schedule", _learners_targets_schedules(), ids="-".join)


@pytest.fixture(scope="module", autouse=True)
def _service_ends_with_its_file() -> Iterator[None]:
    """End the tracker service with the file of tests that started it."""
    yield
    from bfc.trackers import client  # not before: it loads what --check-shapes must load first

    client.stop_service()


@pytest.fixture(scope="session", autouse=True)
def _messages_are_shown() -> None:
    """What the library logs is printed, as under every entry point."""
    show_messages()


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """``build("target", "quadratic_densenet", d=8)``: a component from its YAML with some keys
    changed."""
    return _build


@pytest.fixture(scope="session")
def node() -> Callable[[str, str], Mapping[str, Any]]:
    """``node("target", "quadratic_densenet")``: the YAML itself, for tests that change keys one by
    one."""
    return _node


@pytest.fixture(scope="session")
def is_exhaustive(request: pytest.FixtureRequest) -> bool:
    """Whether everything runs, also what is thinned out by default."""
    return bool(request.config.getoption("--exhaustive"))


@pytest.fixture
def pair(
    build: Callable[..., Any], node: Callable[..., Any], learner_on_target: tuple[str, str]
) -> tuple[Any, Any]:
    """A learner, not wide, and a target of few dimensions that it accepts."""
    learner, target = learner_on_target
    keys = node("learner", learner)
    if "inner" in keys:
        size = {"blocks": 2, "width": 8, "inner": 8}
    elif learner == "conv_resnet":
        size = {"widths": [2, 2, 3]}
    elif learner == "tree":
        size = {"widths": [16]}
    else:
        size = {"width": 32} if "width" in keys else {}
    dimension = {"d": 6} if "d" in node("target", target) else {}
    return build("learner", learner, **size), build("target", target, **dimension)


@pytest.fixture
def steps_of_this_run(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No compiled step of another run is used."""
    from bfc.engine.compiled import cache  # late: shapes may be checked in what it loads

    monkeypatch.setattr(cache, "CACHE", tmp_path_factory.getbasetemp() / "compiled")


@pytest.fixture
def small_baseline(build: Callable[..., Any], node: Callable[..., Any], baseline_name: str) -> Any:
    """The baseline with little to do."""
    grid = {
        "ridge_grid": [1e-2, 1.0],
        "regularisation_grid": [1e-2, 1.0],
        "width": 32,
        "number": 64,
        "tuning_draws": 1,
        "permutations": 0,
        "n_max": 48,
    }
    return build(
        "baseline",
        baseline_name,
        **{key: value for key, value in grid.items() if key in node("baseline", baseline_name)},
    )


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums are split over threads in an order that depends on their number; one thread makes
    bit-for-bit comparisons meaningful."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def perfect() -> Callable[..., tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """``perfect(target, draw, learner)``: parameters and centring constants with which the
    quadratic network is its teacher. Units beyond the teacher's are zero."""

    def build_perfect(
        target: Any, draw: Any, learner: Any
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        params = {
            name: torch.zeros_like(p) for name, p in learner.init_params(target, draw).items()
        }
        centre = {}
        for i, (level, parts) in enumerate(draw.weights.items()):
            for j, w in parts.items():
                k = params[f"K{level}_{j}"]
                if j < 2:
                    k[:, : w.shape[1]] = w
                    continue
                squares = _squares(draw, learner, j)
                k[:, : w.shape[1], squares[: w.shape[2]]] = w / draw.unit_sd[j].unsqueeze(1)
            squares = _squares(draw, learner, level)
            params[f"scale{level}"] = draw.scale[:, i : i + 1]
            params[f"Q{level}"][:, squares] = draw.scale[:, i : i + 1]
            centre[f"phi{level}"] = torch.zeros_like(params[f"Q{level}"]).unsqueeze(2)
            centre[f"phi{level}"][:, squares[: target.width(level)]] = 1.0
        return params, centre

    def _squares(draw: Any, learner: Any, level: int) -> list[int]:
        """Where s_1 s_1, s_2 s_2 ... stand among the products s_i s_j, i <= j, in the order (1,1),
        (1,2) ... (2,2) ..."""
        p = draw.target.width(level) if learner.widths is None else learner.widths[level - 2]
        return [
            place
            for place, (i, j) in enumerate((i, j) for i in range(p) for j in range(i, p))
            if i == j
        ]

    return build_perfect


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A cell of an empty store that holds nothing yet."""
    return Store(tmp_path / "results").cell("0123456789abcdef")
