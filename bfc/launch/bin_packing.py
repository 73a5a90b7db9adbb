"""Bin packing: groups of jobs divided among processes by predicted cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def pack_into_bins(
    groups: Sequence[Sequence[int]],
    seconds: Mapping[int, float],
    max_seconds: float,
    max_jobs: int | None = None,
    max_bins: int | None = None,
) -> list[list[int]]:
    """Divide groups of jobs into bins, one process each; a group stays in one bin.

    Longest first, each group goes into the bin with the least work. There are as few bins as keep
    the average load within ``max_seconds`` (a longer group has a bin of its own) and every bin
    within ``max_jobs``; ``max_bins`` wins over both. Within a bin the order is that of the sweep.
    """
    if not groups:
        return []
    loads = [sum(seconds[number] for number in group) for group in groups]
    count = _count_bins(groups, loads, max_seconds, max_jobs)
    count = max(1, min(count, len(groups), max_bins or len(groups)))
    bins: list[list[int]] = [[] for _ in range(count)]
    bin_loads = [0.0] * count
    for group in sorted(range(len(groups)), key=lambda i: (-loads[i], i)):
        candidates = _bins_with_room(bins, len(groups[group]), max_jobs)
        if not candidates and (max_bins is None or len(bins) < max_bins):
            candidates = [len(bins)]
            bins.append([])
            bin_loads.append(0.0)
        chosen = min(candidates or range(len(bins)), key=lambda i: (bin_loads[i], i))
        bins[chosen] += groups[group]
        bin_loads[chosen] += loads[group]
    return [sorted(numbers) for numbers in bins if numbers]


def _count_bins(
    groups: Sequence[Sequence[int]],
    loads: Sequence[float],
    max_seconds: float,
    max_jobs: int | None,
) -> int:
    """The fewest bins that the limits allow."""
    long_groups = sum(load >= max_seconds for load in loads)
    short_seconds = sum(load for load in loads if load < max_seconds)
    count = long_groups + -int(-short_seconds // max_seconds)
    if max_jobs is None:
        return count
    total_jobs = sum(map(len, groups))
    return max(count, -(-total_jobs // max_jobs))


def _bins_with_room(bins: Sequence[Sequence[int]], size: int, max_jobs: int | None) -> list[int]:
    """Bins that ``size`` more jobs fit into."""
    if max_jobs is None:
        return list(range(len(bins)))
    return [i for i, numbers in enumerate(bins) if len(numbers) + size <= max_jobs]
