"""Cells that share stacks.

What measures a cell is a plain function that asks for trainings through a
:data:`~bfc.engine.stack_request.TrainStack` and waits for them. Here each of several such functions
runs in a thread of its own, one at a time: it holds the floor until it asks for trainings or ends.
Once all of them wait, the fullest stack that can be made of what they wait for is trained in the
scheduler's own thread. This is what it takes to fill a GPU with the cells of a sweep.
"""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch

from bfc.engine.common_stack import Answer, StackFailure, fits_one_stack, train_common_stack
from bfc.engine.signature import fusion_key
from bfc.engine.stack_request import StackRequest, TrainResult, TrainStack, train_stack

T = TypeVar("T")
MeasureCell = Callable[[TrainStack], T]
"""Measures a cell with the trainings that it asks for."""


@dataclass(frozen=True)
class _Returned(Generic[T]):
    """A cell's function has ended with a value."""

    value: T


@dataclass(frozen=True)
class _Raised:
    """A cell's function has ended with an exception."""

    error: BaseException


class _CellThread(Generic[T]):
    """One cell's function in a thread that only runs while the scheduler waits for it.

    It asks for trainings with a request, and ends with what it returns or raises.
    """

    def __init__(self, measure: MeasureCell[T]) -> None:
        self._measure = measure
        self._to_scheduler: queue.SimpleQueue[StackRequest | _Returned[T] | _Raised] = (
            queue.SimpleQueue()
        )
        self._to_cell: queue.SimpleQueue[TrainResult | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> StackRequest | _Returned[T] | _Raised:
        """Run until it asks for trainings or ends."""
        self._thread.start()
        return self._to_scheduler.get()

    def answer(self, answer: TrainResult | BaseException) -> StackRequest | _Returned[T] | _Raised:
        """Hand over what it waits for (an exception is raised in it), and run on."""
        self._to_cell.put(answer)
        return self._to_scheduler.get()

    def _train(self, request: StackRequest) -> TrainResult:
        self._to_scheduler.put(request)
        answer = self._to_cell.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _run(self) -> None:
        try:
            self._to_scheduler.put(_Returned(self._measure(self._train)))
        except BaseException as error:
            self._to_scheduler.put(_Raised(error))


def run_fused(cells: Sequence[MeasureCell[T]]) -> list[T | Exception]:
    """What each cell's function returns, in their order; an exception where it fails."""
    ends = dict(run_as_completed(cells))
    return [ends[k] for k in range(len(cells))]


def run_as_completed(cells: Sequence[MeasureCell[T]]) -> Iterator[tuple[int, T | Exception]]:
    """The number of each cell and what it returns, an exception where it fails, once it has ended.

    A failure leaves the other cells untouched: where a common stack fails, each goes on by itself.
    Anything but an :class:`Exception`, such as a request to stop, ends them all where they stand
    and is raised.
    """
    if len(cells) == 1:
        yield 0, _run_alone(cells[0])
    else:
        yield from _Scheduler(cells).run()


def _run_alone(cell: MeasureCell[T]) -> T | Exception:
    try:
        return cell(train_stack)
    except Exception as error:
        return error


class _Scheduler(Generic[T]):
    """``live``: the cells that have not ended; ``waiting``: what each of them waits for."""

    def __init__(self, cells: Sequence[MeasureCell[T]]) -> None:
        self.live = {k: _CellThread(cell) for k, cell in enumerate(cells)}
        self.waiting: dict[int, StackRequest] = {}
        self.unsent: dict[int, Answer] = {}
        """Answers that were computed and not handed over yet."""
        self.max_stack: dict[str, int] = {}
        """Fusion key → trainings to a stack, where a larger stack has failed."""

    def run(self) -> Iterator[tuple[int, T | Exception]]:
        try:
            for k in list(self.live):
                yield from self._proceed(k, self.live[k].start())
            while self.waiting:
                yield from self._train_next()
        except BaseException as stop:
            self._stop_all(stop)
            raise

    def _proceed(
        self, k: int, event: StackRequest | _Returned[T] | _Raised
    ) -> Iterator[tuple[int, T | Exception]]:
        """Note what cell ``k`` waits for now, or yield what it came to."""
        if isinstance(event, StackRequest):
            self.waiting[k] = self._limited(event)
            return
        del self.live[k]
        if isinstance(event, _Returned):
            yield k, event.value
        elif isinstance(event.error, Exception):
            traceback.clear_frames(event.error.__traceback__)  # they hold the stack that failed
            yield k, event.error
        else:
            raise event.error

    def _limited(self, request: StackRequest) -> StackRequest:
        if not self.max_stack:
            return request
        limit = self.max_stack.get(fusion_key(request.recipe), request.max_stack)
        return replace(request, max_stack=min(request.max_stack, limit))

    def _train_next(self) -> Iterator[tuple[int, T | Exception]]:
        """Train the fullest stack and hand every cell in it its answer."""
        group = _fullest_group(self.waiting)
        requests = [self.waiting.pop(k) for k in group]
        self.unsent = dict(zip(group, _train(requests), strict=True))
        for k, request in zip(group, requests, strict=True):
            answer = self.unsent.pop(k)
            if isinstance(answer, StackFailure):
                self._shrink(requests)
                try:
                    self.waiting[k] = _retried(request, answer)
                    continue
                except Exception as error:
                    answer = error
            yield from self._proceed(k, self.live[k].answer(answer))

    def _shrink(self, requests: Sequence[StackRequest]) -> None:
        """Stacks of this kind are half as large from now on."""
        total = sum(len(request.trainings) for request in requests)
        self.max_stack[fusion_key(requests[0].recipe)] = total // 2

    def _stop_all(self, stop: BaseException) -> None:
        """End every live cell where it stands; each stores first what was computed for it."""
        for k, cell in self.live.items():
            if k not in self.waiting and k not in self.unsent:
                continue  # it is running, or it has just raised ``stop``
            answer = self.unsent.get(k)
            with suppress(BaseException):  # each ends with the same, after it has noted that
                if isinstance(answer, TrainResult) and not isinstance(stop, GeneratorExit):
                    if not isinstance(cell.answer(answer), StackRequest):
                        continue
                cell.answer(stop)


def _train(requests: Sequence[StackRequest]) -> list[Answer]:
    torch.set_num_threads(requests[0].num_threads)
    if len(requests) > 1:
        return train_common_stack(requests)
    try:
        return [train_stack(requests[0])]
    except BaseException as error:  # it is the cell's own, and is raised there
        return [error]


def _retried(request: StackRequest, failure: StackFailure) -> StackRequest:
    """The request once more, by itself, from the state that was saved last."""
    return replace(
        request,
        max_stack=0,
        resume=request.load_state() or request.resume,
        seconds_spent=request.seconds_spent + failure.seconds,
    )


def _fullest_group(waiting: dict[int, StackRequest]) -> list[int]:
    """The cells whose requests go into the next stack."""
    if len(waiting) == 1:
        return list(waiting)
    groups: dict[tuple[str, bool, str | None], list[int]] = {}
    for k, request in waiting.items():
        is_pooled = request.trainings[0].n > 0
        execution = None if request.resume is None else request.resume.execution
        key = (fusion_key(request.recipe), is_pooled, execution)
        groups.setdefault(key, []).append(k)
    fullest = max(groups.values(), key=lambda group: sum(len(waiting[k].trainings) for k in group))
    chosen = fullest[:1]
    for k in fullest[1:]:
        if fits_one_stack([waiting[other] for other in (*chosen, k)]):
            chosen.append(k)
    return chosen
