"""Cells that train side by side. What measures a cell is a coroutine that yields the trainings it needs and is sent their records, so it
does not know in whose company they were trained. Alone, they are a stack; together with other cells, those of one shape – the same
learner, schedule and optimizer on targets that differ only in numbers – fill one stack, which is what it takes to fill a GPU. Every
training gets the numbers it would have got alone, up to the rounding of sums."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from bfc.engine.data import POOL_BYTES, pool_bytes
from bfc.engine.joined import Joined
from bfc.engine.loop import Recipe, train
from bfc.engine.shapes import shape
from bfc.engine.state import State, join
from bfc.types import Training


@dataclass(frozen=True, eq=False)
class Request:
    """Trainings that a run waits for, with a learning rate each (R,)."""

    recipe: Recipe
    trainings: Sequence[Training]
    rates: Tensor
    most: int
    """Trainings that a stack of this recipe may hold on its device."""
    on_chunk: Callable[[State, int, float], None]
    """Called between chunks with their state, their replica-steps done and their share of the seconds."""
    resume: State | None = None
    kept: Callable[[], State | None] = lambda: None
    """The state that was kept of them last, from which they go on by themselves where a common stack failed."""
    spent: float = 0.0
    """Seconds that fell to them in a stack that failed."""


@dataclass(frozen=True)
class Trained:
    """A record per training; the seconds that fall to them; the size of the stack they were in."""

    records: list[dict[str, Any]]
    seconds: float
    stack: int


@dataclass(frozen=True)
class _Failed:
    """A common stack came to nothing after ``seconds`` of this request."""

    seconds: float


T = TypeVar("T")
Run = Generator[Request, Trained, T]
"""Something that needs trainings on its way to a ``T``."""


def alone(run: Run[T]) -> T:
    """What a run comes to, by itself; raises what it raises."""
    ((_, end),) = as_completed([run])
    if isinstance(end, Exception):
        raise end
    return end


def together(runs: Sequence[Run[T]]) -> list[T | Exception]:
    """What each run comes to, in their order (:func:`as_completed`)."""
    return [end for _, end in sorted(as_completed(runs), key=lambda each: each[0])]


def as_completed(runs: Sequence[Run[T]]) -> Iterator[tuple[int, T | Exception]]:
    """The number of each run and what it comes to, an exception where it fails, as soon as it has ended. A failure leaves the other runs
    untouched: where a common stack fails, each goes on by itself. Whenever all wait, the fullest stack that can be made of what they
    wait for is trained. Anything but an :class:`Exception`, such as a request to stop, ends them all, each where it stands, and is
    raised."""
    live = dict(enumerate(runs))
    waiting: dict[int, Request] = {}
    owed: dict[int, Trained | BaseException | _Failed] = {}
    room: dict[str, int] = {}  # shape → trainings to a stack, where a larger one has failed

    def go_on(k: int, answer: Trained | BaseException | None) -> Iterator[tuple[int, T | Exception]]:
        try:
            asked = live[k].throw(answer) if isinstance(answer, BaseException) else live[k].send(answer)  # type: ignore[arg-type]
            waiting[k] = replace(asked, most=min(asked.most, room.get(shape(asked.recipe), asked.most))) if room else asked
            return
        except StopIteration as last:
            end = last.value
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # which hold the stack that failed
            end = error
        del live[k]
        yield k, end

    try:
        for k in list(live):
            yield from go_on(k, None)
        while waiting:
            group = _fullest(waiting)
            requests = [waiting.pop(k) for k in group]
            owed = dict(zip(group, _train(requests), strict=True))
            for k, request in zip(group, requests, strict=True):
                answer = owed.pop(k)
                if isinstance(answer, _Failed):
                    room[shape(request.recipe)] = sum(len(each.trainings) for each in requests) // 2
                    try:
                        waiting[k] = replace(request, most=0, resume=request.kept() or request.resume, spent=request.spent + answer.seconds)
                        continue
                    except Exception as error:
                        answer = error
                yield from go_on(k, answer)
    except BaseException as stop:
        for k, run in live.items():
            with suppress(BaseException):  # each stores what it is owed and ends with the same, after it has noted that
                if isinstance(owed.get(k), Trained) and not isinstance(stop, GeneratorExit):
                    run.send(owed[k])  # type: ignore[arg-type]
                run.throw(stop)
        raise


def _fullest(waiting: dict[int, Request]) -> list[int]:
    """The runs whose trainings go into the next stack."""
    if len(waiting) == 1:
        return list(waiting)
    groups: dict[tuple[str, bool, bool], list[int]] = {}
    for k, request in waiting.items():
        key = (shape(request.recipe), request.trainings[0].n > 0, request.resume is None)
        groups.setdefault(key, []).append(k)
    group = max(groups.values(), key=lambda group: sum(len(waiting[k].trainings) for k in group))
    chosen = group[:1]
    for k in group[1:]:
        if _fits([waiting[other] for other in (*chosen, k)]):
            chosen.append(k)
    return chosen


def _fits(requests: Sequence[Request]) -> bool:
    """Whether a stack of all these stays within what the device and a pool of rows may hold."""
    recipe, rows = requests[0].recipe, max(t.n for request in requests for t in request.trainings)
    realisations = sum(len({t.seed for t in request.trainings}) for request in requests)
    return sum(len(request.trainings) for request in requests) <= min(request.most for request in requests) \
        and pool_bytes(recipe.target, realisations, rows, recipe.dtype) <= POOL_BYTES


def _train(requests: Sequence[Request]) -> list[Trained | BaseException | _Failed]:
    """Train what was asked for in one stack. What a run raises between chunks is the answer to itself alone, a request to stop the answer
    to all."""
    began, start, rows = time.perf_counter(), 0, []
    for request in requests:
        rows.append(slice(start, start + len(request.trainings)))
        start += len(request.trainings)
    stages = requests[0].recipe.stages()
    lost: dict[int, Exception] = {}

    def seconds(request: Request) -> float:
        return request.spent + (time.perf_counter() - began) * len(request.trainings) / start

    def on_chunk(state: State, done: int, total: int) -> None:
        stop: BaseException | None = None
        for k, request in enumerate(requests):
            if k not in lost:
                part = state.part(rows[k])
                try:
                    request.on_chunk(part, part.steps_done(stages), seconds(request))
                except Exception as error:
                    lost[k] = error
                except BaseException as error:  # all are heard before it ends them
                    stop = error
        if stop is not None:
            raise stop
        if len(lost) == len(requests):
            raise lost[0]

    try:
        recipe, trainings = _joined(requests)
        resume = None if requests[0].resume is None else join([request.resume for request in requests]).tensors()
        records = train(recipe, trainings, rates=torch.cat([request.rates for request in requests]), resume=resume, on_chunk=on_chunk)
    except Exception as error:
        if len(requests) == 1:
            return [error]
        print(f"a stack of {start} trainings of {len(requests)} cells failed ({type(error).__name__}: {str(error).partition(chr(10))[0]}); "
              "each goes on by itself", flush=True)
        return [lost.get(k) or _Failed(seconds(request) - request.spent) for k, request in enumerate(requests)]
    except BaseException as stop:
        return [lost.get(k, stop) for k in range(len(requests))]
    return [lost.get(k) or Trained(records[rows[k]], seconds(request), start) for k, request in enumerate(requests)]


def _joined(requests: Sequence[Request]) -> tuple[Recipe, list[Training]]:
    """One recipe for all, and their trainings; where targets differ, a seed is replaced by the number of a realisation."""
    targets = list(dict.fromkeys(request.recipe.target for request in requests))
    if len(targets) == 1:
        return requests[0].recipe, [t for request in requests for t in request.trainings]
    wanted = [[(targets.index(request.recipe.target), t.seed) for t in request.trainings] for request in requests]
    number = {each: i for i, each in enumerate(sorted({each for mine in wanted for each in mine}))}
    trainings = [replace(t, seed=number[each]) for request, mine in zip(requests, wanted, strict=True)
                 for t, each in zip(request.trainings, mine, strict=True)]
    return replace(requests[0].recipe, target=Joined(tuple(targets), tuple(number))), trainings
