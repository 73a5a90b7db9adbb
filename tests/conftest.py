"""Shared by all tests: every YAML of a group of ``conf/`` becomes a case by existing.

A test that takes an argument ``every_<group>`` (``every_target``, ``every_schedule`` ...) runs once
per option of that group and receives its name; ``every_pair`` gives (learner, target) names where
the learner accepts the target, ``every_fit`` (learner, target, schedule) names: every schedule that
fits a learner on the first target it accepts, and the first such schedule on its other targets.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
import torch
import yaml
from sampling import sample_items
from torch import Tensor

from bfc.errors import UserError
from bfc.experiment.components import GROUPS, component
from bfc.experiment.job import check_outputs
from bfc.store.cells import Cell, Store
from bfc.trackers import client

pytest.register_assert_rewrite("slurm_scenes")
CONF = Path(__file__).parents[1] / "conf"


@cache
def _node(group: str, name: str) -> Mapping[str, Any]:
    return yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


def _build(group: str, name: str, /, **changes: Any) -> Any:
    return component(group, {**_node(group, name), **changes})


def _options(group: str) -> list[str]:
    """Options of a group that stand for a component."""
    return [
        path.stem
        for path in sorted((CONF / group).glob("*.yaml"))
        if _node(group, path.stem).get("_target_")
    ]


def _pairs() -> list[tuple[str, str]]:
    pairs = []
    for learner in _options("learner"):
        for target in _options("target"):
            try:
                check_outputs(_build("learner", learner), _build("target", target))
                _build("learner", learner).check(_build("target", target))
            except UserError:
                continue
            pairs.append((learner, target))
    return pairs


def _fits() -> list[tuple[str, str, str]]:
    fits: list[tuple[str, str, str]] = []
    for learner, target in _pairs():
        own, on = _build("learner", learner), _build("target", target)
        every = []
        for schedule in _options("schedule"):
            try:
                for stage in _build("schedule", schedule).stages(own.groups(on), own.levels(on)):
                    own.check_present(on, stage.present)
                    if not (
                        set(stage.penalties) <= set(own.penalties(on))
                        and stage.gap in (None, *on.gaps)
                    ):
                        raise UserError(
                            f"{schedule} asks for what {learner} on {target} does not have"
                        )
            except UserError:
                continue
            every.append((learner, target, schedule))
        fits += every[:1] if any(fit[0] == learner for fit in fits) else every
    return fits


CHECKED_MODULES = ("bfc.engine", "bfc.optimizers", "bfc.targets.wrapped", "bfc.learners.mlp")
"""Modules whose annotated shapes are checked at every call with ``--check-shapes``."""


def pytest_configure(config: pytest.Config) -> None:
    """Install the import hook that checks shapes; nothing of these modules is loaded before."""
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--exhaustive``: leave out what is marked so, and sample the product batteries."""
    if config.getoption("--exhaustive"):
        return
    marked = [item for item in items if item.get_closest_marker("exhaustive")]
    unmarked = [item for item in items if not item.get_closest_marker("exhaustive")]
    chosen, unsampled = sample_items(unmarked)
    config.hook.pytest_deselected(items=[*marked, *unsampled])
    items[:] = chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for group in GROUPS:
        if f"every_{group}" in metafunc.fixturenames:
            metafunc.parametrize(f"every_{group}", _options(group))
    if "every_pair" in metafunc.fixturenames:
        metafunc.parametrize("every_pair", _pairs(), ids="-".join)
    if "every_fit" in metafunc.fixturenames:
        metafunc.parametrize("every_fit", _fits(), ids="-".join)


@pytest.fixture(scope="module", autouse=True)
def _service_ends_with_its_file() -> Iterator[None]:
    """End the tracker service with the file of tests that started it."""
    yield
    client.stop_service()


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


@pytest.fixture
def pair(
    build: Callable[..., Any], node: Callable[..., Any], every_pair: tuple[str, str]
) -> tuple[Any, Any]:
    """A learner, not wide, and a target of few dimensions that it accepts."""
    learner, target = every_pair
    keys = node("learner", learner)
    small = (
        {"blocks": 2, "width": 8, "inner": 8}
        if "inner" in keys
        else {"width": 32}
        if "width" in keys
        else {}
    )
    small |= {"widths": [2, 2, 3]} if learner == "conv_resnet" else {}
    return build("learner", learner, **small), build(
        "target", target, **({"d": 6} if "d" in node("target", target) else {})
    )


@pytest.fixture
def small_baseline(build: Callable[..., Any], node: Callable[..., Any], every_baseline: str) -> Any:
    """The baseline with little to do."""
    grid = {
        "ridge_grid": [1e-2, 1.0],
        "regularisation_grid": [1e-2, 1.0],
        "width": 32,
        "number": 64,
        "tuning_draws": 1,
        "n_max": 48,
    }
    return build(
        "baseline",
        every_baseline,
        **{key: value for key, value in grid.items() if key in node("baseline", every_baseline)},
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
