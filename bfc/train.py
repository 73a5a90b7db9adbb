"""The one entry point, ``python -m bfc.train`` (``bfc-train`` when installed).

A Hydra configuration becomes one job, that is the learner's cell, the baseline's cell, or both;
``-m`` runs a sweep, ``-m +sweeps=<study>`` a study.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
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
from bfc.hydra_plugins.hydra_errors import explain, refuse
from bfc.hydra_plugins.registration import register
from bfc.launch.progress_bar import shown
from bfc.paths import CONF
from bfc.trackers.client import observe_cell

INTERRUPTED = (
    "interrupted: finished trainings are stored; the same command goes on where this one stopped"
)


def task(config: Any) -> list[str]:
    """One Hydra job.

    In a single run a refusal ends the process here, so that Hydra adds nothing to the sentence; in
    a sweep it becomes the job's failure.
    """
    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        container = OmegaConf.to_container(config, resolve=True)
        study = container.get("study")
        if not sweep and isinstance(study, Mapping) and study.get("sizes"):
            raise UserError(
                f"+sweeps={study.get('name')}: is a study of many cells; must be run as a sweep, with -m"
            )
        job = load_job(container)
        folders = [Path(job.results) / spec.cell_id for spec in cell_specs(job)]
        with nullcontext() if sweep else shown(folders):
            return run_job(job, observe_cell, wait=sweep)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        if sweep:
            raise UserError(sentence) from error
        sys.exit(refuse(sentence))


def main() -> None:
    """Run the command line; a user's mistake is one sentence on standard error and exit status 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach the handlers below instead of Hydra's
    register()
    sweep = [
        argument for argument in sys.argv[1:] if argument in ("-m", "--multirun")
    ]  # which Hydra only takes before overrides
    sys.argv[1:] = [*sweep, *(argument for argument in sys.argv[1:] if argument not in sweep)]
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
    except KeyboardInterrupt:
        refuse(INTERRUPTED)
        sys.exit(130)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        sys.exit(refuse(sentence))


if __name__ == "__main__":
    from bfc.train import main as run

    run()
