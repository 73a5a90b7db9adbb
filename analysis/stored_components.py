"""Components rebuilt from the flattened configuration of stored trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bfc.experiment.components import component


def read_config(rows: pd.DataFrame, group: str) -> dict[str, Any]:
    """The configuration of a group of these rows, which agree in it.

    Keys without a value are left out: they belong to other components in the same store.
    """
    prefix, config = f"config.{group}.", {}
    for name in rows:
        if name.startswith(prefix):
            value = _restore_value(rows[name].iloc[0])
            if value is not None:
                config[name.removeprefix(prefix)] = value
    return config


def rebuild(group: str, config: Mapping[str, Any]) -> Any:
    """The component of this configuration; None where there is none.

    Raises :class:`bfc.errors.UserError`, or TypeError, ValueError or ArithmeticError, for one that
    this version cannot rebuild.
    """
    fields = {
        name: value for name, value in config.items() if "." not in name and name != "numerics"
    }
    return component(group, fields)


def _restore_value(value: Any) -> Any:
    """A flattened configuration value as it was.

    Lists are stored as JSON, integers may have become floats, and no value is NaN.
    """
    if isinstance(value, str):
        try:
            return json.loads(value) if value.startswith("[") else value
        except ValueError:
            return value
    if value is None or value != value:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
