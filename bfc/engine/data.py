"""Where the rows of a stack come from. A pool of each seed's first n rows is stored once and shared
by all replicas of that seed (a ladder over n costs no copies); fresh data, and pools too large to
store, are drawn again from the counter-based streams, so both give the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from bfc import random
from bfc.types import Draw, Target, Training, sample

POOL_BYTES = 2 << 30
"""Largest stored pool; a larger one is regenerated row by row."""
AHEAD = 1 << 17
"""Row numbers drawn at a time (a megabyte)."""


class StackData:
    """Batches, validation and train rows of a stack of trainings. All methods take ``index``,
    replica numbers within the stack as a list; row counts and steps may differ between replicas."""

    def __init__(
        self,
        target: Target,
        trainings: Sequence[Training],
        validation: str,
        validation_size: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.device = device
        self.seeds = list(dict.fromkeys(t.seed for t in trainings))
        self.draws: Draw = target.draw(self.seeds, dtype, device)
        place = {seed: i for i, seed in enumerate(self.seeds)}
        self.place = [place[t.seed] for t in trainings]
        self.fresh = [t.n == 0 for t in trainings]
        held = [inside(t.n, validation_size) if validation == "inside" else 0 for t in trainings]
        extra = [int(validation_size) if validation == "free" and t.n else 0 for t in trainings]
        self.n_fit = torch.tensor(
            [t.n - h for t, h in zip(trainings, held, strict=True)], device=device
        )
        self.n_validation = torch.tensor(
            [h or e for h, e in zip(held, extra, strict=True)], device=device
        )
        self.validation_role = "validation" if validation == "free" else "train"
        self.batch_keys = random.keys([self.draws.seeds[i] for i in self.place], "batch", device)
        largest = max((t.n for t in trainings), default=0)
        self.pool = (
            sample(
                self.draws,
                "train",
                torch.arange(largest, device=device).expand(len(self.seeds), -1),
            )
            if 0 < pool_bytes(target, len(self.seeds), largest, dtype) <= POOL_BYTES
            else None
        )
        self._selected: tuple[tuple[int, ...], Draw] = ((), self.draws)

    def draw(self, index: Sequence[int]) -> Draw:
        """The draws of these replicas; the last selection is kept."""
        key = tuple(index)
        if self._selected[0] != key:
            self._selected = (key, self.draws.select([self.place[i] for i in index]))
        return self._selected[1]

    def batches(
        self,
        index: Sequence[int],
        size: int,
        step: Tensor,
        length: int,
        sampling: str = "replacement",
        together: int = 1,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (R, k size, input_width) and labels (R, k size) of ``length`` optimizer steps from
        ``step`` (R,) on, those of k = ``together`` steps one after the other, fewer at the end:
        fresh rows step * size ..., or rows of the replica's first n_fit, drawn with replacement or
        (``epochs``) taken in turn. Row numbers are drawn for many steps at once, and nothing is
        copied from the host within a step."""
        fresh = [self.fresh[i] for i in index]
        if any(fresh) != all(fresh):
            raise ValueError("a stack holds either fresh or pooled trainings")
        draw = self.draw(index)
        if all(fresh):
            within = torch.arange(together * size, device=self.device)
            for t in range(0, length, together):
                yield sample(
                    draw, "train", (step + t).unsqueeze(1) * size + within[: (length - t) * size]
                )
            return
        within, keys, most = (
            torch.arange(size, device=self.device),
            self.batch_keys[index].unsqueeze(1),
            self.n_fit[index].unsqueeze(1),
        )
        read, ahead = (
            self._pooled(index),
            together * max(1, AHEAD // (len(index) * size * together)),
        )
        for first in range(0, length, ahead):
            steps = step + torch.arange(
                first, min(first + ahead, length), device=self.device
            ).unsqueeze(1)
            numbers = steps.unsqueeze(2) * size + within
            for rows in (
                numbers % most if sampling == "epochs" else random.integers(keys, numbers, most)
            ).split(together):
                yield read(rows.transpose(0, 1).flatten(1))

    def _pooled(self, index: Sequence[int]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """A function of row numbers (R, B) that reads them from the pool of each replica's seed."""
        draw = self.draw(index)
        if self.pool is None:
            return lambda rows: sample(draw, "train", rows)
        x, y = self.pool
        start = (
            torch.tensor([self.place[i] for i in index], device=self.device).unsqueeze(1)
            * x.shape[1]
        )
        x, y = x.flatten(0, 1), y.flatten()

        def read(rows: Tensor) -> tuple[Tensor, Tensor]:
            flat = (start + rows).flatten()
            return x.index_select(0, flat).view(*rows.shape, -1), y.index_select(0, flat).view(
                rows.shape
            )

        return read

    def validation(self, index: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Validation inputs (R, V, d), labels (R, V) and weights (R, V) that average each replica's
        own rows."""
        count = self.n_validation[index]
        offset, weights = _padded(count)
        if self.validation_role == "train":
            return *self._pooled(index)(self.n_fit[index].unsqueeze(1) + offset), weights
        return *sample(self.draw(index), "validation", offset), weights

    def training_rows(self, index: Sequence[int], most: int) -> tuple[Tensor, Tensor, Tensor]:
        """The first ``most`` rows each replica trains on, as :meth:`validation`."""
        offset, weights = _padded(self.n_fit[index].clamp(max=most))
        return *self._pooled(index)(offset), weights


def pool_bytes(target: Target, realisations: int, rows: int, dtype: torch.dtype) -> int:
    """Bytes of the first ``rows`` rows of so many (target, seed)."""
    return torch.finfo(dtype).bits // 8 * rows * (target.input_width + 1) * realisations


def inside(n: int, share: float) -> int:
    """Validation labels held out inside n: ``share`` of it, at least one, leaving at least one to
    train on."""
    return min(max(1, round(share * n)), n - 1) if n > 1 else 0


def _padded(count: Tensor) -> tuple[Tensor, Tensor]:
    """Row offsets (R, V) below each count (the last one repeated) and averaging weights (R, V)."""
    offset = torch.arange(int(count.max()), device=count.device).expand(len(count), -1)
    inside_count = offset < count.unsqueeze(1)
    return offset.minimum(count.unsqueeze(1) - 1), inside_count.double() / count.unsqueeze(1)
