"""Several requests trained in one stack.

Requests that agree in their fusion key (:mod:`bfc.engine.signature`) differ only in numbers: the
coefficients of their targets, learning rates, n and seeds. One stack trains them all, and every
training gets the numbers it would have got alone, up to the rounding of sums.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from bfc.engine.concat_target import ConcatTarget
from bfc.engine.data import POOL_BYTES, pool_bytes
from bfc.engine.recipe import Recipe
from bfc.engine.stack_request import StackRequest, TrainResult
from bfc.engine.state import PLAIN, State, join
from bfc.engine.trainer import train
from bfc.types import Training

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StackFailure:
    """A common stack failed; the request can be trained again by itself."""

    seconds: float
    """The request's share of the time that was lost."""


Answer = TrainResult | BaseException | StackFailure


def fits_one_stack(requests: Sequence[StackRequest]) -> bool:
    """Whether a stack of all requests stays within what the device and a pool of rows may hold."""
    if sum(len(r.trainings) for r in requests) > min(r.max_stack for r in requests):
        return False
    recipe = requests[0].recipe
    trainings = itertools.chain.from_iterable(r.trainings for r in requests)
    largest_n = max(training.n for training in trainings)
    realisations = sum(len({t.seed for t in r.trainings}) for r in requests)
    return pool_bytes(recipe.target, realisations, largest_n, recipe.dtype) <= POOL_BYTES


def train_common_stack(requests: Sequence[StackRequest]) -> list[Answer]:
    """Train several requests in one stack; one answer per request, in order.

    An exception that a request's own ``on_chunk`` raises is the answer to that request alone; a
    request to stop is the answer to all; where the stack itself fails, the answer is a
    :class:`StackFailure`.
    """
    rows = _row_slices(requests)
    total = sum(len(request.trainings) for request in requests)
    start = time.perf_counter()

    def share_seconds() -> list[float]:
        """The seconds so far, shared out in proportion to the trainings of every request."""
        elapsed = time.perf_counter() - start
        return [elapsed * len(request.trainings) / total for request in requests]

    callbacks = _Callbacks(requests, rows, share_seconds)
    failed = callbacks.failed
    try:
        recipe, trainings = _merge(requests)
        records = train(
            recipe,
            trainings,
            rates=torch.cat([request.rates for request in requests]),
            resume=_merge_states(requests),
            on_chunk=callbacks,
        )
    except Exception as error:
        _report_failure(requests, total, error)
        return [failed.get(k) or StackFailure(s) for k, s in enumerate(share_seconds())]
    except BaseException as stop:  # a request to stop: every cell stores where it stands
        return [failed.get(k, stop) for k in range(len(requests))]
    answers: list[Answer] = []
    for k, seconds in enumerate(share_seconds()):
        seconds_spent = requests[k].seconds_spent + seconds
        answers.append(
            failed.get(k)
            or TrainResult(records[rows[k]], seconds_spent, total, callbacks.execution)
        )
    return answers


class _Callbacks:
    """Passes what happens between chunks on to every request, and remembers those that failed."""

    def __init__(
        self,
        requests: Sequence[StackRequest],
        rows: Sequence[slice],
        share_seconds: Callable[[], list[float]],
    ) -> None:
        self.requests, self.rows, self.share_seconds = requests, rows, share_seconds
        self.stages = requests[0].recipe.stages()
        self.failed: dict[int, Exception] = {}
        resume = requests[0].resume
        self.execution = PLAIN if resume is None else resume.execution

    def __call__(self, state: State, done: int, total: int) -> None:
        stop: BaseException | None = None
        self.execution = state.execution
        for k, seconds in enumerate(self.share_seconds()):
            if k in self.failed:
                continue
            request, part = self.requests[k], state.part(self.rows[k])
            seconds_spent = request.seconds_spent + seconds
            try:
                request.on_chunk(part, part.steps_done(self.stages), seconds_spent)
            except Exception as error:
                self.failed[k] = error
            except BaseException as error:  # every request hears of it before it ends them all
                stop = error
        if stop is not None:
            raise stop
        if len(self.failed) == len(self.requests):
            raise self.failed[0]


def _row_slices(requests: Sequence[StackRequest]) -> list[slice]:
    """The replicas of each request in the common stack."""
    slices: list[slice] = []
    start = 0
    for request in requests:
        stop = start + len(request.trainings)
        slices.append(slice(start, stop))
        start = stop
    return slices


def _merge_states(requests: Sequence[StackRequest]) -> dict[str, object] | None:
    states = [request.resume for request in requests if request.resume is not None]
    return join(states).tensors() if len(states) == len(requests) else None


def _merge(requests: Sequence[StackRequest]) -> tuple[Recipe, list[Training]]:
    """One recipe for all requests, and their trainings.

    Where targets differ, a seed is replaced by the number of a (target, seed) realisation.
    """
    targets = list(dict.fromkeys(request.recipe.target for request in requests))
    if len(targets) == 1:
        parts = [request.trainings for request in requests]
        return requests[0].recipe, list(itertools.chain.from_iterable(parts))
    realisations: set[tuple[int, int]] = set()
    for request in requests:
        target = targets.index(request.recipe.target)
        realisations.update((target, t.seed) for t in request.trainings)
    numbers = {realisation: i for i, realisation in enumerate(sorted(realisations))}
    trainings = []
    for request in requests:
        target = targets.index(request.recipe.target)
        trainings += [replace(t, seed=numbers[target, t.seed]) for t in request.trainings]
    merged = ConcatTarget(tuple(targets), tuple(numbers))
    return replace(requests[0].recipe, target=merged), trainings


def _report_failure(requests: Sequence[StackRequest], total: int, error: Exception) -> None:
    first_line = str(error).partition("\n")[0]
    _log.warning(
        f"a stack of {total} trainings of {len(requests)} cells failed "
        f"({type(error).__name__}: {first_line}); each goes on by itself"
    )
