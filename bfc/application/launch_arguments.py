"""What the ``bfc`` commands about launches share: their arguments, and the way to start a sweep.

Imported by ``bfc --help``, so nothing heavy may stand at the top.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bfc.application.completion import complete_override
from bfc.application.launch_completion import complete_launch
from bfc.paths import SITE, expand_folder

DEFAULT_RESULTS = "results"
STOCK_LAUNCHERS = ("basic", "submitit_slurm", "submitit_local", "joblib", "ray", "rq")
"""Hydra's own, and its plugins'."""

Overrides = Annotated[
    list[str],
    typer.Argument(
        help="What `python -m bfc.train -m` would be given, for instance +sweeps=bfc_chain "
        "study.size=30m hydra/launcher=slurm.",
        autocompletion=complete_override,
    ),
]
Multirun = Annotated[
    bool,
    typer.Option("--multirun", "-m", hidden=True, help="A launch is always a sweep."),
]
ConfigDir = Annotated[
    str | None,
    typer.Option("--config-dir", help="A folder with further configuration files."),
]
LaunchName = Annotated[
    str | None,
    typer.Argument(
        help="The launch, or a part of its name; by default the newest.",
        autocompletion=complete_launch,
    ),
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


def run_sweep(overrides: Sequence[str], config_dir: str | None = None) -> None:
    """Run ``python -m bfc.train -m`` with these overrides, in this process."""
    from bfc.train import main

    _check_launcher(overrides, config_dir)
    folder = [] if config_dir is None else ["--config-dir", config_dir]
    sys.argv = [sys.argv[0], "-m", *folder, *overrides]
    main()


def _check_launcher(overrides: Sequence[str], config_dir: str | None) -> None:
    """Refuse launchers of Hydra's, which can neither plan nor go on in the background."""
    from bfc.errors import UserError
    from bfc.paths import CONF

    chosen = [text.partition("=")[2] for text in overrides if text.startswith("hydra/launcher=")]
    folders = [CONF, SITE, *([Path(config_dir)] if config_dir is not None else [])]
    options: set[str] = set()
    for folder in folders:
        options |= {path.stem for path in (folder / "hydra" / "launcher").glob("*.yaml")}
    if chosen and chosen[-1] in STOCK_LAUNCHERS and chosen[-1] not in options:
        raise UserError(
            f"hydra/launcher={chosen[-1]}: runs jobs as they come, so nothing can be planned or "
            f"left in the background; allowed: {', '.join(sorted(options))}, or python -m "
            "bfc.train -m with this launcher"
        )
