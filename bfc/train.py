"""The one entry point, ``python -m bfc.train`` (``bfc-train`` when installed): a Hydra configuration becomes one job, that is the
learner's cell, the baseline's cell, or both; ``-m`` runs a sweep, ``-m +sweeps=<study>`` a study."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bfc.engine.together import Run


def run_job(container: Mapping[str, Any], wait: bool = False, watched: bool = False) -> list[str]:
    """Run the cells of one checked job from plain nested containers, print a line each; returns the cell ids. ``wait``: for a cell that
    another process is measuring, as two jobs of a sweep may share one; otherwise it is refused. ``watched``: show how far they are."""
    from bfc.engine.together import alone

    return alone(running(container, wait, watched))


def running(container: Mapping[str, Any], wait: bool = False, watched: bool = False) -> Run[list[str]]:
    """:func:`run_job` as a run, which may share its stacks with others (:mod:`bfc.engine.together`)."""
    from contextlib import nullcontext
    from pathlib import Path

    from bfc import config
    from bfc.launch.progress import shown
    from bfc.run import measuring
    from bfc.store import Store

    job = config.load(container)
    Store(job.results).check()
    specs = config.cells(job)
    if parts := specs[0].config["facts"].get("harmonics"):
        print(f"target at d={job.target.d}: {'; '.join(parts)}", flush=True)
    with shown([Path(job.results) / spec.cell_id for spec in specs]) if watched else nullcontext():
        for spec in specs:
            done = yield from measuring(spec, job, job.tracker, wait=wait)
            print(f"{done.cell_id}  {done.method}  d={spec.config['d']} L={spec.config['L']}  "
                  f"{done.stored} rows stored, {done.computed} new", flush=True)
    return [spec.cell_id for spec in specs]


def task(cfg: Any) -> list[str]:
    """One Hydra job. In a single run a refusal ends the process here, so that Hydra adds nothing to the sentence; in a sweep it
    becomes the job's failure."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from bfc.errors import UserError
    from bfc.launch import compat

    sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        container = OmegaConf.to_container(cfg, resolve=True)
        study = container.get("study")
        if not sweep and isinstance(study, Mapping) and study.get("sizes"):
            raise UserError(f"+sweeps={study.get('name')}: is a study of many cells; must be run as a sweep, with -m")
        return run_job(container, wait=sweep, watched=not sweep)
    except Exception as error:
        sentence = compat.explain(error)
        if sentence is None:
            raise
        if sweep:
            raise UserError(sentence) from error
        sys.exit(compat.refuse(sentence))


def main() -> None:
    """Run the command line; a user's mistake is one sentence on standard error and exit status 2."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach the handlers below instead of Hydra's
    import hydra

    from bfc.launch import compat, plugins
    from bfc.launch.folders import CONF

    plugins.register()
    sweep = [argument for argument in sys.argv[1:] if argument in ("-m", "--multirun")]  # which Hydra only takes before overrides
    sys.argv[1:] = [*sweep, *(argument for argument in sys.argv[1:] if argument not in sweep)]
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
    except KeyboardInterrupt:
        compat.refuse("interrupted: finished trainings are stored; the same command goes on where this one stopped")
        sys.exit(130)
    except Exception as error:
        sentence = compat.explain(error)
        if sentence is None:
            raise
        sys.exit(compat.refuse(sentence))


if __name__ == "__main__":
    from bfc.train import main as run

    run()
