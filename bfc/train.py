"""The one entry point, ``python -m bfc.train`` (``bfc-train`` when installed): a Hydra configuration becomes one job, that is the
learner's cell, the baseline's cell, or both; ``-m`` runs a sweep, ``-m +sweeps=<study>`` a study."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any


def run_job(container: Mapping[str, Any]) -> list[str]:
    """Run the cells of one checked job from plain nested containers, print a line each; returns the cell ids."""
    from bfc import config
    from bfc.run import run_cell

    job = config.load(container)
    specs = config.cells(job)
    for spec in specs:
        done = run_cell(spec, job, job.tracker)
        print(f"{done.cell_id}  {done.method}  d={spec.config['d']} L={spec.config['L']}  "
              f"{done.stored} rows stored, {done.computed} new", flush=True)
    return [spec.cell_id for spec in specs]


def task(cfg: Any) -> list[str]:
    """One Hydra job. In a single run a refusal ends the process here, so that Hydra adds nothing to the sentence."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from bfc.errors import UserError
    from bfc.launch.compat import refuse

    try:
        return run_job(OmegaConf.to_container(cfg, resolve=True))
    except UserError as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        sys.exit(refuse(str(error)))


def main() -> None:
    """Run the command line; a user's mistake is one sentence on standard error and exit status 2."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from bfc.errors import UserError
    from bfc.launch import compat, plugins
    from bfc.launch.folders import CONF

    plugins.register()
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(task)()
    except UserError as error:
        sys.exit(compat.refuse(str(error)))
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(compat.refuse(compat.sentence(error)))
    except OSError as error:
        sys.exit(compat.refuse(f"{error.filename or 'input/output'}: {error.strerror or error}"))


if __name__ == "__main__":
    from bfc.train import main as run

    run()
