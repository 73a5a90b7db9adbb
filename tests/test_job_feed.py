"""The pool that a budget feeds: what it says about jobs that wait, run and have ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from claim_scenes import SceneCost, make_claim, make_job, make_study

from bfc.application import job_feed
from bfc.application.job_feed import LEAST_SHARE_LEFT, JobFeed
from bfc.application.moves import JobRequest, Move, MoveKind

SECONDS = (10.0, 20.0, 30.0)


class ScenePool:
    """A pool whose jobs run and end when the test says so."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.futures: dict[int, Future[Any]] = {}

    def submit(self, launch: Any, numbers: Sequence[int]) -> dict[int, Future[Any]]:
        futures: dict[int, Future[Any]] = {number: Future() for number in numbers}
        self.futures |= futures
        return futures

    def run(self, number: int) -> None:
        self.futures[number].set_running_or_notify_cancel()


class Scene:
    """Three jobs of a move, the last in a second wave: no core can begin it before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pool = ScenePool()
        monkeypatch.setattr(job_feed, "WorkerPool", lambda *_, **__: self.pool)
        monkeypatch.setattr(job_feed, "_create_launch", self._create_launch)
        jobs = [make_job("a", d) for d in (4, 8, 16)]
        requests = tuple(map(JobRequest, jobs, SECONDS))
        study = make_study({"demo": {"a": [4, 8, 16]}}, make_claim("a"))
        self.move = Move(study, MoveKind.FIRST_LOOK, requests, ())
        self.feed = JobFeed(2)
        self.feed.submit(self.move)

    @staticmethod
    def _create_launch(jobs: Sequence[Any], seconds: Sequence[float], cores: int) -> Any:
        waves = (0, 0, 1)
        return SimpleNamespace(
            jobs=[{"wave": wave, "seconds": s} for wave, s in zip(waves, seconds, strict=True)]
        )


def test_a_move_has_finished_when_its_last_wave_has_ended(monkeypatch) -> None:
    scene = Scene(monkeypatch)
    feed, pool = scene.feed, scene.pool
    assert set(pool.futures) == {0, 1} and (feed.count_waiting(), feed.count_ended()) == (2, 0)
    pool.run(0)
    assert feed.count_waiting() == 1 and feed.list_moves() == [scene.move]
    pool.futures[0].set_result([])
    assert feed.take_finished() == [] and 2 not in pool.futures
    pool.futures[1].set_exception(RuntimeError("broken"))
    assert feed.take_finished() == [] and 2 in pool.futures
    assert (feed.count_waiting(), feed.count_ended()) == (1, 2)
    pool.futures[2].set_result([])
    (finished,) = feed.take_finished()
    assert finished.move is scene.move and finished.failures == {1: "broken"}
    assert feed.list_moves() == [] and (feed.count_waiting(), feed.count_ended()) == (0, 3)


def test_what_has_not_ended_is_predicted_again(monkeypatch) -> None:
    scene = Scene(monkeypatch)
    feed, pool = scene.feed, scene.pool
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert feed.predict_seconds_left() == sum(SECONDS) / 2
    pool.run(0)
    assert feed.predict_seconds_left() == sum(SECONDS) / 2
    now[0] += 6.0
    assert feed.predict_seconds_left() == pytest.approx((sum(SECONDS) - 6.0) / 2)
    now[0] += 100.0
    expected = LEAST_SHARE_LEFT * SECONDS[0] + SECONDS[1] + SECONDS[2]
    assert feed.predict_seconds_left() == pytest.approx(expected / 2)
    pool.futures[0].set_result([])
    model: Any = SceneCost(70.0)
    feed.predict_again(model)
    assert feed.predict_seconds_left() == 2 * 70.0 / 2
