"""One job of a launch in whichever process it fell to, a SLURM task or a local worker: give it its prior, run it, and note what became of
it where `bfc status` finds it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from bfc.interrupt import Stopped
from bfc.launch.manifest import Launch


def work(launch: Launch, number: int, wait: bool) -> list[str]:
    """Run job ``number`` and return its cell ids. Raises what the job raises, after noting it; a cell that another process is measuring
    is waited for, or raises :class:`bfc.lease.Busy`."""
    from bfc.lease import Busy
    from bfc.train import run_job

    launch.record(number, "started")
    try:
        ids = run_job(_with_prior(launch, number), wait=wait)
    except Busy as busy:
        launch.record(number, "waiting", message=str(busy))
        raise
    except Stopped as stopped:
        launch.record(number, "stopped", message=str(stopped))
        raise
    except Exception as error:
        fail(launch, number, error)
        raise
    launch.record(number, "done")
    return ids


def fail(launch: Launch, number: int, error: BaseException) -> None:
    """Note a failure: its class, its message and its traceback."""
    launch.record(number, "failed", error=type(error).__name__, message=message(error),
                  traceback="".join(traceback.format_exception(error)))


def message(error: BaseException) -> str:
    """An error as a line: the sentence about it, else its class and text."""
    from bfc.launch.compat import explain

    return explain(error) or f"{type(error).__name__}: {error}"


def _with_prior(launch: Launch, number: int) -> Mapping[str, Any]:
    """The frozen configuration of a job; where it waited for smaller d, with what they have shown."""
    container, before = launch.containers[number], launch.jobs[number]["earlier"]
    if not before:
        return container
    from bfc import config
    from bfc.launch.waves import prior

    known = prior(config.load(container), [config.load(launch.containers[other]) for other in before])
    return container if known is None else {**container, "measure": {**container["measure"], "prior": list(known)}}
