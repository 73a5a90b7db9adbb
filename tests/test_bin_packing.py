"""Which jobs of a launch go into which process: bin packing, fusion groups and SLURM tasks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bfc.errors import UserError
from bfc.launch.bin_packing import pack_into_bins
from bfc.launch.fusion_groups import split_into_fusion_groups, take_fusion_group
from bfc.launch.options import SlurmOptions
from bfc.launch.slurm.division import divide_into_tasks


def singles(numbers) -> list[list[int]]:
    return [[number] for number in numbers]


def test_every_job_is_in_exactly_one_bin_within_the_limits() -> None:
    generator = random.Random(1)
    for _ in range(300):
        numbers = generator.sample(range(99), generator.randrange(1, 60))
        scales = [0.0, 1.0, 10.0, 1000.0]
        seconds = {n: generator.choice(scales) * generator.random() for n in numbers}
        max_seconds = generator.choice([1.0, 60.0, 1e6])
        max_jobs = generator.choice([None, 1, 3, 100])
        max_bins = generator.choice([None, 1, 4])
        bins = pack_into_bins(singles(seconds), seconds, max_seconds, max_jobs, max_bins)
        assert sorted(number for jobs in bins for number in jobs) == sorted(seconds)
        assert all(jobs == sorted(jobs) for jobs in bins)
        if max_bins is not None:
            assert len(bins) <= max_bins
        elif max_jobs is not None:
            assert max(map(len, bins)) <= max_jobs
        else:
            long_seconds = sum(load for load in seconds.values() if load >= max_seconds)
            assert sum(seconds.values()) <= max_seconds * len(bins) + long_seconds
    assert pack_into_bins([], {}, 1.0) == []


def test_short_jobs_share_a_bin_and_long_ones_do_not() -> None:
    short = dict.fromkeys(range(20), 0.1)
    assert pack_into_bins(singles(short), short, 900.0) == [list(range(20))]
    seconds = {0: 5000.0, 1: 5000.0, **dict.fromkeys(range(2, 10), 1.0)}
    bins = pack_into_bins(singles(seconds), seconds, 900.0)
    assert sorted(bins, key=len)[:2] == [[0], [1]]


def test_waves_never_share_a_task_and_the_site_limit_holds() -> None:
    entries = [{"wave": number % 3, "cells": [str(number)]} for number in range(30)]
    seconds = dict.fromkeys(range(30), 900.0)
    for limit in (4, 7, 20):
        tasks = list(divide_into_tasks(entries, seconds, SlurmOptions(max_submit=limit)))
        assert len(tasks) <= limit - 1
        for wave, numbers in tasks:
            assert {entries[number]["wave"] for number in numbers} == {wave}
    with pytest.raises(UserError, match="max_submit=3: must be above 3, the number of waves"):
        list(divide_into_tasks(entries, seconds, SlurmOptions(max_submit=3)))


# --- fusion groups ------------------------------------------------------------------------------


def entries_of(*keys_and_cells: tuple[int | None, str], **values: Any) -> list[dict[str, Any]]:
    """Jobs of a manifest, given their fusion keys and cells."""
    return [{"shape": key, "cells": [cell], **values} for key, cell in keys_and_cells]


def test_a_fusion_group_shares_its_key_and_no_cell() -> None:
    entries = entries_of((0, "a"), (1, "b"), (0, "c"), (None, "d"), (0, "a"), (0, "e"), (None, "f"))
    assert take_fusion_group(entries, range(7), 9) == [0, 2, 5]
    assert take_fusion_group(entries, [3, 6], 9) == [3]
    groups = list(split_into_fusion_groups(entries, range(7), 2))
    assert groups == [[0, 2], [1], [3], [4, 5], [6]]
    assert list(split_into_fusion_groups(entries, [1, 4, 0], 1)) == [[1], [4], [0]]
    waves = [{**entry, "wave": wave} for wave, entry in enumerate(entries)]
    assert take_fusion_group(waves, range(7), 9) == [0]
    without_keys = [{"cells": ["a"]}, {"cells": ["b"]}]
    assert take_fusion_group(without_keys, [0, 1], 9) == [0], "a manifest without fusion keys"


def test_fusion_groups_keep_their_limits_and_occupy_every_process() -> None:
    entries = entries_of(*((0, str(number)) for number in range(8)), seconds=10.0)

    def sizes(max_jobs: int, **limits: Any) -> list[int]:
        return [
            len(group) for group in split_into_fusion_groups(entries, range(8), max_jobs, **limits)
        ]

    assert sizes(32, max_seconds=35.0) == [3, 3, 2]
    assert sizes(32, processes=3) == [3, 3, 2], "no process stands idle"
    assert sizes(2, processes=3) == [2, 2, 2, 2]
    half_stored = [{**entry, "stored": number < 4} for number, entry in enumerate(entries)]
    groups = list(split_into_fusion_groups(half_stored, range(8), 32, processes=2))
    assert groups == [[0, 1], [2, 3], [4, 5], [6, 7]], "stored jobs fill no process"


@pytest.mark.parametrize(
    "limits, max_tasks, max_jobs",
    [
        ({}, 9, 92),
        ({"cells_per_task": 40}, 9, 40),
        ({"cells_per_task": 1}, 92, 1),
        ({"task_minutes": 20.0}, 5, 92),
        ({"max_submit": 3}, 2, 92),
    ],
    ids=str,
)
def test_tasks_of_fusion_groups_and_single_jobs_keep_the_limits(
    limits, max_tasks, max_jobs
) -> None:
    """32 jobs with one fusion key and 60 that train nothing, a minute each, on GPUs."""
    keys_and_cells = [(0 if number < 32 else None, str(number)) for number in range(92)]
    entries = entries_of(*keys_and_cells, wave=0, seconds=60.0)
    options = SlurmOptions(gpus=1, **limits)
    seconds = dict.fromkeys(range(92), 60.0)
    tasks = [numbers for _, numbers in divide_into_tasks(entries, seconds, options)]
    assert sorted(number for numbers in tasks for number in numbers) == list(range(92))
    assert len(tasks) <= max_tasks and max(map(len, tasks)) <= max_jobs
    if "cells_per_task" not in limits and "max_submit" not in limits:
        assert max(map(len, tasks)) <= 2 * limits.get("task_minutes", 15)
