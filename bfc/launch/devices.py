"""The cores and GPUs of this machine, and how a local launch uses them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from bfc.launch.options import GPU_FUSE_JOBS


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = [name for name in visible if name]
    return names[:count] if names else [str(index) for index in range(count)]


def gpus_for(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The GPUs that jobs with these configurations will use."""
    if all(container["compute"]["device"] == "cpu" for container in containers):
        return []
    return usable_gpus()


def choose_fuse_jobs(option: int | None, containers: Sequence[Mapping[str, Any]]) -> int:
    """How many jobs a process fuses, given the launcher's option."""
    if option is not None:
        return option
    return GPU_FUSE_JOBS if gpus_for(containers) else 1
