"""Where the rows of a stack come from.

A pool of each seed's first n rows is stored once and shared by all replicas of that seed, so that a
ladder over n costs no copies. Fresh data, and pools too large to store, are drawn again from the
counter-based streams; both give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from bfc import random
from bfc.shapes import Float, Float64, Int, Num
from bfc.types import Draw, Target, Training, sample

POOL_BYTES = 2 << 30
"""Largest stored pool; a larger one is regenerated row by row."""
ROWS_AHEAD = 1 << 17
"""Row numbers drawn at a time (a megabyte)."""

Batch = tuple[Float[Tensor, "R B d"], Num[Tensor, "R B"]]
"""Inputs and labels."""
WeightedRows = tuple[Float[Tensor, "R V d"], Num[Tensor, "R V"], Float64[Tensor, "R V"]]
"""Inputs, labels, and weights that average each replica's own rows."""


class StackData:
    """Batches, validation rows and training rows of a stack.

    All methods take ``index``, replica numbers within the stack as a list. Row counts and steps may
    differ between replicas.
    """

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
        position = {seed: i for i, seed in enumerate(self.seeds)}
        self.seed_index = [position[t.seed] for t in trainings]
        """Per replica the number of its seed among ``seeds``."""
        self.fresh = [t.n == 0 for t in trainings]
        self.validation_role = "validation" if validation == "free" else "train"
        n_validation = [validation_rows(t.n, validation, validation_size) for t in trainings]
        n_fit = [t.n for t in trainings]
        if validation == "inside":
            n_fit = [t.n - held for t, held in zip(trainings, n_validation, strict=True)]
        self.n_fit = torch.tensor(n_fit, device=device)
        self.n_validation = torch.tensor(n_validation, device=device)
        seeds = [self.draws.seeds[i] for i in self.seed_index]
        self.batch_keys = random.keys(seeds, "batch", device)
        self.pool = self._draw_pool(target, max((t.n for t in trainings), default=0), dtype)
        self._selected: tuple[tuple[int, ...], Draw] = ((), self.draws)

    def _draw_pool(self, target: Target, n: int, dtype: torch.dtype) -> Batch | None:
        """The first ``n`` rows of every seed, where they are not too many to store."""
        if not 0 < pool_bytes(target, len(self.seeds), n, dtype) <= POOL_BYTES:
            return None
        rows = torch.arange(n, device=self.device).expand(len(self.seeds), -1)
        x, y = sample(self.draws, "train", rows)
        return x.contiguous(), y.contiguous()

    def draw(self, index: Sequence[int]) -> Draw:
        """The draws of these replicas; the last selection is remembered."""
        key = tuple(index)
        if self._selected[0] != key:
            self._selected = (key, self.draws.select([self.seed_index[i] for i in index]))
        return self._selected[1]

    def batches(
        self,
        index: Sequence[int],
        size: int,
        step: Int[Tensor, " R"],
        length: int,
        sampling: str = "replacement",
        steps_per_block: int = 1,
    ) -> Iterator[Batch]:
        """The rows of ``length`` optimizer steps from ``step`` (R,) on, in blocks of steps.

        A block holds inputs (R, k size, input_width) and labels (R, k size) of k =
        ``steps_per_block`` steps, one after the other; the last one may hold fewer. Fresh rows are
        those from step * size on; pooled ones are among the replica's first n_fit, drawn with
        replacement or (``epochs``) taken in turn.
        """
        fresh = [self.fresh[i] for i in index]
        if any(fresh) != all(fresh):
            raise ValueError("a stack holds either fresh or pooled trainings")
        if all(fresh):
            return self._fresh_batches(index, size, step, length, steps_per_block)
        in_turn = sampling == "epochs"
        return self._pooled_batches(index, size, step, length, in_turn, steps_per_block)

    def _fresh_batches(
        self, index: Sequence[int], size: int, step: Tensor, length: int, steps_per_block: int
    ) -> Iterator[Batch]:
        draw = self.draw(index)
        within = torch.arange(steps_per_block * size, device=self.device)
        for t in range(0, length, steps_per_block):
            rows = (step + t).unsqueeze(1) * size + within[: (length - t) * size]
            yield sample(draw, "train", rows)

    def _pooled_batches(
        self,
        index: Sequence[int],
        size: int,
        step: Tensor,
        length: int,
        in_turn: bool,
        steps_per_block: int,
    ) -> Iterator[Batch]:
        """Row numbers are drawn for many steps at once; no step copies anything from the host."""
        read = self._pool_reader(index)
        rows_per_block = len(index) * size * steps_per_block
        steps_ahead = steps_per_block * max(1, ROWS_AHEAD // rows_per_block)
        for first in range(0, length, steps_ahead):
            count = min(steps_ahead, length - first)
            rows = self.row_numbers(index, size, step + first, count, in_turn)
            for block in torch.split(rows, steps_per_block):
                yield read(block.transpose(0, 1).flatten(1))

    def row_numbers(
        self,
        index: Sequence[int],
        size: int,
        step: Int[Tensor, " R"],
        length: int,
        in_turn: bool,
    ) -> Int[Tensor, "length R size"]:
        """Which of its pooled rows each replica reads in ``length`` steps from ``step`` on."""
        ahead = torch.arange(length, device=self.device)
        within = torch.arange(size, device=self.device)
        numbers = (step + ahead.unsqueeze(1)).unsqueeze(2) * size + within
        n_fit = self.n_fit[index].unsqueeze(1)
        if in_turn:
            return numbers % n_fit
        return random.integers(self.batch_keys[index].unsqueeze(1), numbers, n_fit)

    def _pool_reader(self, index: Sequence[int]) -> Callable[[Tensor], Batch]:
        """A function of row numbers (R, B) that reads them from the pool of each replica's seed."""
        if self.pool is None:
            draw = self.draw(index)
            return lambda rows: sample(draw, "train", rows)
        x, y = self.pool
        seeds = torch.tensor([self.seed_index[i] for i in index], device=self.device)
        start = seeds.unsqueeze(1) * x.shape[1]
        flat_x, flat_y = x.flatten(0, 1), y.flatten()

        def read(rows: Tensor) -> Batch:
            flat_rows = (start + rows).flatten()
            inputs = flat_x.index_select(0, flat_rows).view(*rows.shape, -1)
            return inputs, flat_y.index_select(0, flat_rows).view(rows.shape)

        return read

    def validation(self, index: Sequence[int]) -> WeightedRows:
        """The validation rows of these replicas, padded to the largest number V of them."""
        offset, weights = _padded(self.n_validation[index])
        if self.validation_role == "train":
            x, y = self._pool_reader(index)(self.n_fit[index].unsqueeze(1) + offset)
        else:
            x, y = sample(self.draw(index), "validation", offset)
        return x, y, weights

    def rows_trained_on(self, index: Sequence[int]) -> Int[Tensor, " R"]:
        """How many of its first rows each replica trains on; 0: fresh rows at every step."""
        return self.n_fit[list(index)]

    def training_rows(self, index: Sequence[int], max_rows: int) -> WeightedRows:
        """The first ``max_rows`` rows that each replica trains on, as :meth:`validation`."""
        offset, weights = _padded(self.n_fit[index].clamp(max=max_rows))
        x, y = self._pool_reader(index)(offset)
        return x, y, weights


def pool_bytes(target: Target, realisations: int, rows: int, dtype: torch.dtype) -> int:
    """Bytes of the first ``rows`` rows of so many (target, seed)."""
    return torch.finfo(dtype).bits // 8 * rows * (target.input_width + 1) * realisations


def validation_rows(n: int, validation: str, size: float) -> int:
    """Validation rows of a training with ``n`` labels; ``size`` is a share of n or a number."""
    if validation == "inside":
        return held_out(n, size)
    return int(size) if validation == "free" and n else 0


def held_out(n: int, share: float) -> int:
    """Validation labels held out within n: ``share`` of it.

    At least one is held out, and at least one is left to train on.
    """
    return min(max(1, round(share * n)), n - 1) if n > 1 else 0


def _padded(count: Tensor) -> tuple[Tensor, Tensor]:
    """Row offsets (R, V) below each count, the last one repeated, and averaging weights (R, V)."""
    offset = torch.arange(int(count.max()), device=count.device).expand(len(count), -1)
    is_row = offset < count.unsqueeze(1)
    return offset.minimum(count.unsqueeze(1) - 1), is_row.double() / count.unsqueeze(1)
