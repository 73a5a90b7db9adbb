"""The one entry point, ``python -m bfc.train`` (``bfc-train`` when installed).

A Hydra configuration becomes one job, that is the learner's cell, the baseline's cell, or both;
``-m`` runs a sweep, ``-m +sweeps=<study>`` a study.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.arguments import (
    defer_dependent_keys,
    refuse_digit_groups,
    refuse_lists_of_options,
)
from bfc.hydra_plugins.expansion import NEEDS_STUDY_SWEEPER, refuse_study
from bfc.hydra_plugins.hydra_errors import explain, refuse
from bfc.hydra_plugins.registration import register
from bfc.launch.progress_bar import show_progress
from bfc.messages import show_messages
from bfc.paths import CONF
from bfc.streams import secure_streams
from bfc.trackers.client import observe_cell

INTERRUPTED = (
    "interrupted: finished trainings are stored; the same command goes on where this one stopped"
)
EXIT_INTERRUPTED = 130
SWEEP_FLAGS = ("-m", "--multirun")
STUDY_SWEEPER = "hydra_plugins.bfc.StudySweeper"
"""The sweeper of conf/hydra/sweeper/study.yaml, as Hydra names it."""


def run_composed_job(config: Any) -> list[str]:
    """Run one Hydra job; returns the cell ids.

    In a single run a refusal ends the process here, so that Hydra adds nothing to the sentence; in
    a sweep it becomes the job's failure.
    """
    show_messages()  # a stock launcher's process begins here
    is_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        container = OmegaConf.to_container(config, resolve=True)
        assert isinstance(container, dict)
        if not is_sweep:
            refuse_lists_of_options(HydraConfig.get().overrides.task)
        _refuse_study(container, is_sweep)
        job = load_job({str(key): value for key, value in container.items()})
        folders = [Path(job.results) / spec.cell_id for spec in cell_specs(job)]
        with nullcontext() if is_sweep else show_progress(folders):
            return run_job(job, observe_cell, wait=is_sweep)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        if is_sweep:
            raise UserError(sentence) from error
        sys.exit(refuse(sentence))


def _refuse_study(container: Mapping[Any, Any], is_sweep: bool) -> None:
    """Refuse a study in a run that is no sweep, and in a sweep of another sweeper."""
    if not is_sweep:
        refuse_study(container, "must be run as a sweep, with -m")
    elif HydraConfig.get().sweeper._target_ != STUDY_SWEEPER:
        refuse_study(container, NEEDS_STUDY_SWEEPER)


def main() -> None:
    """Run the command line.

    A user's mistake is reported in one sentence on standard error, with exit status 2.
    """
    secure_streams()
    show_messages()
    # Errors then reach the handlers below instead of Hydra's.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register()
    try:
        refuse_digit_groups(sys.argv[1:])
        sys.argv[1:] = _order_arguments(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(
            run_composed_job
        )()
    except KeyboardInterrupt:
        refuse(INTERRUPTED)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        sys.exit(refuse(sentence))


def _order_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments with -m in front, since Hydra does not accept it after overrides."""
    flags = [argument for argument in arguments if argument in SWEEP_FLAGS]
    rest = [argument for argument in arguments if argument not in SWEEP_FLAGS]
    return [*flags, *(defer_dependent_keys(rest) if flags else rest)]


if __name__ == "__main__":
    from bfc.train import main as run_main

    run_main()
