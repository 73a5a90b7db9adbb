"""Memory that an exact learning curve needs, and memory that is free."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch

from bfc.baselines.learning_curve import BLOCK
from bfc.baselines.panels import count_entries

CONTROL_GROUPS = Path("/proc/self/cgroup")


def memory_bytes(n: int, stored_test: int = 0) -> int:
    """Peak memory of one curve in bytes: 8 (H + 6 BLOCK n + T n).

    H numbers in the panels of K (:mod:`bfc.baselines.panels`; n² up to 4096 points, towards n²/2
    beyond), whose place the factor takes; a block of test rows and what a kernel and the solve need
    besides. While λ is tuned K stays beside its factor, 2 H, and so do T = ``stored_test`` test
    rows of the kernel.
    """
    matrices = 2 if stored_test else 1
    return 8 * (count_entries(n) * matrices + n * (6 * BLOCK + stored_test))


def available_memory(device: torch.device | str = "cpu") -> int:
    """Bytes that may still be allocated on ``device``.

    On a CPU what the system reports, or less where a control group (a batch job's limit) allows
    less.
    """
    if torch.device(device).type == "cuda":
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + reusable
    return min([_system_memory(), *_control_group_limits()])


def _system_memory() -> int:
    """Bytes that the system reports as available, or as free where psutil is not installed."""
    try:
        import psutil  # only here, since the library works without it
    except ModuleNotFoundError:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(psutil.virtual_memory().available)


def _control_group_limits() -> list[int]:
    """Limits in bytes of the control groups that this process is in, version 1 or 2."""
    limits: list[int] = []
    with suppress(OSError):
        for line in CONTROL_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controller, group = line.split(":", 2)
            if controller in ("", "memory"):
                file = "memory.limit_in_bytes" if controller else "memory.max"
                for folder in (Path(group), *Path(group).parents):
                    with suppress(OSError, ValueError):
                        text = Path(f"/sys/fs/cgroup/{controller}/{folder}/{file}").read_text(
                            encoding="utf-8"
                        )
                        limits.append(int(text))
    return limits
