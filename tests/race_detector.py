"""Watches what interpreted Triton programs load and store, for pairs that need a barrier between.

The interpreter runs a program as if it had one thread. On a GPU an element belongs to some thread,
and two accesses to the same address between two barriers are only safe if both load, or if a load
is followed by a store of the same element of a tile, which the same thread makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest


@dataclass
class Accesses:
    """What was loaded and stored since the last barrier; every access has a number."""

    loads: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)
    """(number, addresses, their places in the tile)."""
    stores: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)
    races: list[str] = field(default_factory=list)
    total: int = 0

    def note(self, accesses: list, pointers: np.ndarray, mask: np.ndarray) -> None:
        self.total += 1
        mask = np.broadcast_to(mask, pointers.shape).ravel()
        places = np.flatnonzero(mask)
        accesses.append((self.total, pointers.ravel()[places], places))

    def barrier(self) -> None:
        """Compare all accesses since the last barrier, and forget them."""
        if self.stores:
            self._compare()
        self.loads.clear()
        self.stores.clear()

    def _compare(self) -> None:
        numbers, addresses, places = _joined(self.stores)
        order = np.argsort(addresses, kind="stable")
        numbers, addresses, places = numbers[order], addresses[order], places[order]
        if (addresses[1:] == addresses[:-1]).any():
            self.races.append("an address is stored twice")
        if not self.loads:
            return
        load_numbers, load_addresses, load_places = _joined(self.loads)
        at = np.searchsorted(addresses, load_addresses).clip(max=len(addresses) - 1)
        is_stored = addresses[at] == load_addresses
        is_same_element = (load_places == places[at]) & (load_numbers < numbers[at])
        if (is_stored & ~is_same_element).any():
            self.races.append("an address is loaded by one thread and stored by another")


def _joined(accesses: list[tuple[int, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, ...]:
    numbers = np.concatenate([np.full(len(places), number) for number, _, places in accesses])
    return numbers, *(np.concatenate([access[i] for access in accesses]) for i in (1, 2))


@contextmanager
def detected_races(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The races of all programs that run inside, a sentence each."""
    from triton.runtime.interpreter import InterpreterBuilder

    seen = Accesses()
    load, store = InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store

    def noting_load(builder, pointers, mask, *rest):
        seen.note(seen.loads, pointers.data, mask.data)
        return load(builder, pointers, mask, *rest)

    def noting_store(builder, pointers, value, mask, *rest):
        seen.note(seen.stores, pointers.data, mask.data)
        return store(builder, pointers, value, mask, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(InterpreterBuilder, "create_masked_load", noting_load)
        patch.setattr(InterpreterBuilder, "create_masked_store", noting_store)
        patch.setattr(InterpreterBuilder, "create_barrier", lambda builder: seen.barrier())
        yield seen.races
        assert seen.total > 0, "no program has run"
