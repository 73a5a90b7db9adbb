"""What this program adds to Hydra: the studies on the search path, a sweeper that expands a study's blocks and checks every cell
before the first one runs, and the local launcher. Registered with Hydra's plugin manager when the entry point starts."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import sys
import traceback
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bfc.errors import UserError, nearest, require
from bfc.launch.compat import explain
from bfc.launch.folders import CONF, SITE, SWEEPS
from bfc.launch.planned import Planned, planned
from bfc.launch.waves import earlier, prior, waves
from bfc.trackers.watch import show_studies


class StudySource(ConfigSource):
    """The files of ``sweeps/`` as the config group ``sweeps``. A plain path would have to be the folder above, and Hydra would then
    search all of that for groups (minutes for ``--help`` in a checkout)."""

    GROUP = "sweeps"

    @staticmethod
    def scheme() -> str:
        return "study"

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return config_path.strip("/") in ("", self.GROUP)

    def is_config(self, config_path: str) -> bool:
        group, _, name = config_path.rpartition("/")
        return group == self.GROUP and self._file(name).is_file()

    def load_config(self, config_path: str) -> ConfigResult:
        file = self._file(config_path.rpartition("/")[2])
        header = self._get_header_dict(file.read_text())
        return ConfigResult(provider=self.provider, path=self.full_path(), config=OmegaConf.load(file), header=header)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path.strip("/") == self.GROUP:
            return [] if results_filter == ObjectType.GROUP else sorted(file.stem for file in Path(self.path).glob("*.yaml"))
        return [self.GROUP] if self.is_group(config_path) and results_filter != ObjectType.CONFIG else []

    def _file(self, name: str) -> Path:
        return Path(self.path) / f"{name.removesuffix('.yaml')}.yaml"


class StudySearchPath(SearchPathPlugin):
    """Makes ``+sweeps=<study>`` resolve to the files of ``sweeps/``, and lets a cluster add its own options to the groups of ``conf/``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append(provider="bfc", path=f"{StudySource.scheme()}://{SWEEPS}")
        if SITE.is_dir():
            search_path.append(provider="site", path=f"file://{SITE}")


class StudySweeper(Sweeper):
    """Hydra's basic sweep over the blocks of a study. A block is a mapping of overrides, each value a single one or a comma list; a
    study is the union of its blocks' grids; the command line is applied on top of every block. ``max_batch_size`` and
    ``params`` are the basic sweeper's."""

    def __init__(self, max_batch_size: int | None = None, params: Mapping[str, str] | None = None) -> None:
        valid = max_batch_size is None or (isinstance(max_batch_size, int) and not isinstance(max_batch_size, bool) and max_batch_size >= 1)
        require(valid, "hydra.sweeper.max_batch_size", max_batch_size, "null or an integer >= 1")
        require(params is None or isinstance(params, Mapping), "hydra.sweeper.params", params, "null or a mapping of overrides")
        self.max_batch_size, self.params = max_batch_size, dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.loader = config, hydra_context.config_loader
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check every job, then launch them together; nothing is written before all have passed. After all have
        ended, failures are listed and raised as one :class:`UserError`."""
        jobs = expand(self.config, self.loader, [f"{key}={value}" for key, value in self.params.items()], arguments)
        if isinstance(self.launcher, PlanLauncher):
            require(self.max_batch_size is None, "hydra.sweeper.max_batch_size", self.max_batch_size,
                    f"null with this launcher, which submits everything at once; {self.launcher.LIMIT} limits what runs together")
            returns = [self.launcher.launch_plan(jobs)]
            finished = dict(enumerate(returns[0]))
        else:
            returns, finished = self._in_waves(jobs)
        if not isinstance(self.launcher, PlanLauncher) or not self.launcher.shows_later:
            show_studies([each.job for each in jobs])
        failures = [(each, error) for n, each in enumerate(jobs) if (error := _failure(finished[n])) is not None]
        for each, error in failures:
            if explain(error) is None:
                traceback.print_exception(error)
            own = " ".join(t for t in each.overrides if not all(t in other.overrides for other in jobs)) or " ".join(each.overrides)
            print(f"failed: {own}: {explain(error) or f'{type(error).__name__}: {error}'}", file=sys.stderr)
        if failures:
            raise UserError(f"{len(failures)} of {len(jobs)} jobs failed; the others are stored, and the same command runs only "
                            "what is missing")
        return returns

    def _in_waves(self, jobs: Sequence[Planned]) -> tuple[list[Any], dict[int, Any]]:
        """Hand the jobs to a launcher that knows overrides only, wave by wave; what came back, and the result of every job."""
        loaded, size = [each.job for each in jobs], self.max_batch_size or len(jobs)
        before, returns = earlier(loaded), []
        finished: dict[int, Any] = {}
        for wave in waves(loaded):
            overrides = {}
            for number in wave:
                known = prior(loaded[number], [loaded[other] for other in before[number]])
                overrides[number] = [*jobs[number].overrides, *([f"measure.prior=[{known[0]},{known[1]}]"] if known else [])]
            for start in range(0, len(wave), size):
                numbers = wave[start : start + size]
                returns.append(self.launcher.launch([overrides[number] for number in numbers], initial_job_idx=len(finished)))
                finished |= dict(zip(numbers, returns[-1], strict=True))
        return returns, finished


def expand(config: DictConfig, loader: Any, params: Sequence[str], arguments: Sequence[str]) -> list[Planned]:
    """Every job of the study in ``config`` (or of ``arguments`` alone, where there is none), composed and checked: ``params``, then the
    block, then ``arguments``, the later ones on top."""
    parser = OverridesParser.create(config_loader=loader)
    chosen: dict[tuple[str, ...], None] = {}
    for block in blocks(config):
        chosen |= dict.fromkeys(_grid(parser.parse_overrides([*params, *block, *arguments])))
    composer = Composer(loader, config)
    return [planned(overrides, composer.job(overrides)) for overrides in chosen]


def compose_sweep(arguments: Sequence[str]) -> list[Planned]:
    """The jobs that ``python -m bfc.train -m`` with these arguments would run, without running any."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return expand(compose("config", list(arguments), return_hydra_config=True), GlobalHydra.instance().config_loader(), (), arguments)


class PlanLauncher(Launcher):
    """A launcher of this program: it is handed checked jobs and keeps the order of their waves itself. Sweepers that only know overrides
    can use it too."""

    LIMIT: ClassVar[str]
    """The option that limits how much runs at a time."""
    shows_later: bool
    """Whether it is left to the launch's last process to show the studies in their trackers, or nothing runs that could be shown."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        composer = Composer(self.loader, self.config)
        return self.launch_plan([planned(overrides, composer.job(overrides)) for overrides in job_overrides])

    @abstractmethod
    def launch_plan(self, jobs: Sequence[Planned]) -> Sequence[JobReturn]:
        """One return per job, in order. Raises :class:`bfc.errors.UserError` where nothing can be launched."""


class Composer:
    """Jobs of a sweep as plain containers, resolved, without Hydra's own node. Jobs that choose the same group options share one
    composition, to which their other values are applied: composing is by far the slowest part of planning a large sweep."""

    def __init__(self, loader: Any, config: DictConfig) -> None:
        self.loader, self.config = loader, config
        self.parser = OverridesParser.create(config_loader=loader)
        self.shared: dict[tuple[str, ...], dict[str, Any]] = {}
        self.groups: dict[str, bool] = {}
        self.parsed: dict[str, Override] = {}

    def job(self, overrides: Sequence[str]) -> dict[str, Any]:
        """Raises Hydra's errors for what cannot be composed."""
        new = [text for text in overrides if text not in self.parsed]
        self.parsed |= dict(zip(new, self.parser.parse_overrides(new), strict=True))
        plain = {text: self.parsed[text] for text in overrides if self._is_value(self.parsed[text])}
        choices = tuple(text for text in overrides if text not in plain)
        if choices not in self.shared:
            self.shared[choices] = self._compose(choices)
        job = copy.deepcopy(self.shared[choices])
        if all(_set(job, override.key_or_group.split("."), override.value()) for override in plain.values()):
            return OmegaConf.to_container(OmegaConf.create(job), resolve=True) if "${" in str(job) else job
        return OmegaConf.to_container(OmegaConf.create(self._compose(overrides)), resolve=True)  # in full, so that Hydra says what is wrong

    def _is_value(self, override: Override) -> bool:
        """Whether an override sets a key that exists anyway, to a value."""
        key = override.key_or_group
        if key not in self.groups:
            self.groups[key] = bool(self.loader.get_group_options(key))
        return override.type == OverrideType.CHANGE and override.package is None and not self.groups[key] and not key.startswith("hydra.")

    def _compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        composed = self.loader.load_sweep_config(self.config, list(overrides))
        return OmegaConf.to_container(OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"]))


def _set(node: Any, path: list[str], value: Any) -> bool:
    """Set a key of nested mappings; False, with nothing done, where it does not exist or mappings would have to be merged."""
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, dict) or path[-1] not in node or (isinstance(node[path[-1]], dict) and isinstance(value, dict)):
        return False
    node[path[-1]] = value
    return True


def _failure(result: JobReturn) -> BaseException | None:
    """Why a job failed, without Hydra's own line about it."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = result.return_value
        except Exception as error:
            return error
    return None


def _grid(overrides: Sequence[Override]) -> Iterator[tuple[str, ...]]:
    """Every combination of the swept values; a later override of a key replaces an earlier one."""
    values: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            values[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            values[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise UserError(f"{override.input_line}: must be a list of values or a range")
    return itertools.product(*values.values())


def blocks(config: Any) -> list[list[str]]:
    """The override lists of the chosen size of the study in ``config``; one empty block where there is no study."""
    study = config.get("study")
    if study is None:
        return [[]]
    study = OmegaConf.to_container(study, resolve=True)
    if not isinstance(study, Mapping) or not isinstance(study.get("sizes"), Mapping):
        raise UserError("study: must hold a name, a size and the sizes of a file under sweeps/")
    size = study.get("size")
    if size not in study["sizes"]:
        raise UserError(f"study.size={size}: no such size; {nearest(str(size), study['sizes'])}")
    return [[f"{key}={_text(value)}" for key, value in block.items()] for block in study["sizes"][size]]


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(_text(v) for v in value) + "]"
    return str(value)


def register() -> None:
    """Tell Hydra's plugin manager; safe to call again. Hydra instantiates plugins only under the name ``hydra_plugins.*``, so they
    get an alias there, which the YAMLs under conf/hydra use."""
    from bfc.launch.local import LocalLauncher
    from bfc.launch.slurm import SlurmLauncher

    manager = Plugins.instance()
    manager.register(StudySource)
    manager.register(StudySearchPath)
    for plugin in (StudySweeper, LocalLauncher, SlurmLauncher):
        manager.register(plugin)
        manager.class_name_to_class[f"hydra_plugins.bfc.{plugin.__name__}"] = plugin
