"""Packages that an installation may lack, and the sentence where one is needed.

The default installation has W&B, Submitit and Plotly. Without the first two trainings and reports
work all the same, without Plotly trainings do. So they are imported where they are used, after
:func:`require_package`.
"""

from __future__ import annotations

import importlib.util

from bfc.errors import UserError

OPTIONAL = ("wandb", "submitit", "hydra-submitit-launcher")
"""Distributions of the default installation without which trainings and reports work."""


def require_package(package: str, needed_by: str, extra: str, otherwise: str = "") -> None:
    """Raise :class:`UserError` with the extra to install where a package is not installed.

    ``package``: as it is imported; ``otherwise``: what else can be done.
    """
    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        remedy = f"pip install 'bfc[{extra}]'{otherwise}"
        raise UserError(f"{needed_by}: the package {name} is not installed; {remedy}")
