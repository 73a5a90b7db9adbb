"""The checkpoint of a cell as bytes: plain containers of tensors, numbers and strings.

It is read without unpickling anything else. It only saves work, so a damaged one is ignored.
"""

from __future__ import annotations

import io
import logging
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bfc.store.files import first_line

_log = logging.getLogger(__name__)


def serialise(value: Mapping[str, Any]) -> memoryview:
    """The content of a checkpoint file."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(value), buffer)
    return buffer.getbuffer()


def load(path: Path) -> dict[str, Any] | None:
    """What a checkpoint file holds; None where there is none, or none that can be read."""
    import torch

    if not path.exists():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            return checkpoint
    except pickle.UnpicklingError:
        reason = "it holds more than plain tensors"
    except Exception as error:  # whatever a damaged file makes the unpickler raise
        reason = first_line(error)
    _log.warning(f"{path}: cannot be read ({reason}); its stack starts again")
    return None
