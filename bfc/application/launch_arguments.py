"""What the ``bfc`` commands about launches share: their arguments, and the way to start a sweep.

Imported by ``bfc --help``, so nothing heavy may stand at the top.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bfc.application.completion import complete_override
from bfc.paths import SITE, expand_folder

DEFAULT_RESULTS = "results"

Overrides = Annotated[
    list[str],
    typer.Argument(
        help="What `python -m bfc.train -m` would be given, for instance +sweeps=bfc_chain "
        "study.size=30m hydra/launcher=slurm.",
        autocompletion=complete_override,
    ),
]
LaunchName = Annotated[
    str | None,
    typer.Argument(help="The launch, or a part of its name; by default the newest."),
]


def default_results() -> str:
    """The results folder that the site overlay names (docs/slurm.md), else ``results``."""
    file = SITE / "site" / "slurm.yaml"
    if not file.is_file():
        return DEFAULT_RESULTS
    from omegaconf import DictConfig, OmegaConf

    overlay = OmegaConf.load(file)
    results = overlay.get("results") if isinstance(overlay, DictConfig) else None
    return expand_folder(results) if results else DEFAULT_RESULTS


ResultsOption = Annotated[
    str,
    typer.Option(
        "--results",
        "-r",
        help="The results folder; by default results, or what the site overlay names.",
        default_factory=default_results,
        show_default=False,
    ),
]


def run_sweep(overrides: Sequence[str]) -> None:
    """Run ``python -m bfc.train -m`` with these overrides, in this process."""
    from bfc.train import main

    sys.argv = [sys.argv[0], "-m", *overrides]
    main()
