"""What it costs that a random hierarchy is judged on strings that no training row can be.

python -m benchmarks.unseen_strings

Tree networks at L = 2, v = m = n_c, where n* is a sizeable share of all strings: n*(.1) on strings
that are held out, as everywhere in this program, and where training and test draw from all strings,
so that a test string may have been trained on. Medians over seeds, interpolated in logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from bfc.baselines.selection import crossing
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.learners.tree import Tree
from bfc.optimizers.adam import Adam
from bfc.schedules import load_schedule
from bfc.targets.hierarchy import Hierarchy, HierarchyDraw
from bfc.targets.hierarchy_strings import Strings
from bfc.types import Training

SIZES = {6: (432, 592, 793, 1000), 8: (1000, 1400, 2000, 2600)}
"""v → n."""
SEEDS = {6: 8, 8: 6}
SMALLEST_RISK = 1e-3


class AllStrings(Strings):
    """Strings of which none is held out."""

    def rows(self, role: str, rows: Tensor) -> Tensor:
        return self.sample(role, rows)


@dataclass(frozen=True)
class OpenHierarchy(Hierarchy):
    """The random hierarchy, trained and judged on all its strings."""

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> HierarchyDraw:
        draw = super().draw(seeds, dtype, device)
        strings = AllStrings(draw.strings.rules, draw.strings.seeds, draw.strings.zipf)
        return replace(draw, strings=strings)


def find_nstar(
    target: Hierarchy, sizes: Sequence[int], num_seeds: int
) -> tuple[float, list[float]]:
    """n*(.1) of the tree network, and its median risk at every n."""
    recipe = Recipe(
        target,
        Tree(),
        load_schedule("all", steps=1000, patience=None),
        Adam(lr=0.02, batch=128, warmup=50),
        test=1024,
        compile="auto",
    )
    trainings = [Training(n, seed) for n, seed in product(sizes, range(num_seeds))]
    risks = [record["risk"] for record in train(recipe, trainings)]
    medians = np.median(np.reshape(risks, (len(sizes), num_seeds)), 1)
    medians = np.maximum(medians, SMALLEST_RISK)
    return crossing(sizes, medians.tolist(), 0.1) or np.inf, medians.tolist()


if __name__ == "__main__":
    for v, sizes in SIZES.items():
        unseen = Hierarchy(v=v, classes=v, m=v, L=2)
        everywhere = OpenHierarchy(v=v, classes=v, m=v, L=2)
        for name, target in (("unseen strings", unseen), ("all strings", everywhere)):
            nstar, medians = find_nstar(target, sizes, SEEDS[v])
            text = ", ".join(f"{n}: {risk:.3f}" for n, risk in zip(sizes, medians, strict=True))
            print(f"v = {v}, {name}: n* = {nstar:.0f} (median risk at {text})", flush=True)
