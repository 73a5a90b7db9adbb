"""Whether the levels of a network have become blind to synonyms of the random hierarchy.

Cagnetta et al. (PRX 14, 031001, section IV): a network learns the task at the n at which its
representation no longer depends on which of its tuples a symbol became.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bfc.errors import UserError
from bfc.learners.capabilities import HiddenStates
from bfc.probes.common import check_num_evals, check_rows, probe_inputs, undefined
from bfc.targets.hierarchy import Hierarchy, HierarchyDraw
from bfc.types import Draw, Learner, Params, Probe, Target


@dataclass(frozen=True)
class Synonyms(Probe):
    """``synonyms<l>/<k>``: S = E‖h_k(x) − h_k(x̃)‖² / E‖h_k(x) − h_k(z)‖² of level k of the learner.

    x̃ has the symbols of x at level l of the hierarchy (0: the input), l = 1 … L − 1, and rules of
    the levels 1 … l drawn again; z is an independent string. 1: synonyms differ as any two strings
    do; 0: level k is blind to them. h_k holds the units at all places. NaN where k is absent.
    """

    identity_name: ClassVar[str] = "bfc.probes.synonyms.Synonyms"
    version: ClassVar[int] = 1

    rows: int = 1024
    """Pairs of strings."""
    num_evals: int = 0
    """Evaluations during a training, see :class:`bfc.types.Probe`."""

    def __post_init__(self) -> None:
        check_rows(self.rows, 1 << 20)
        check_num_evals(self.num_evals)

    def check(self, target: Target, learner: Learner) -> None:
        grammar = target.unwrapped
        if not isinstance(grammar, Hierarchy):
            raise UserError(
                "probe=synonyms: needs a target with synonyms, not "
                f"{type(grammar).__name__}; allowed: target=hierarchy, or probe=none"
            )
        if grammar.L == 1:
            raise UserError(
                "probe=synonyms: with target.L=1 there is no level below the class whose rules "
                "could be drawn again; allowed: target.L >= 2, or probe=none"
            )
        if not isinstance(learner, HiddenStates):
            raise UserError(
                "probe=synonyms: needs a network whose levels can be read, not "
                f"{type(learner).__name__}; allowed: learner=tree, mlp, resnet or conv_resnet, or "
                "probe=none"
            )

    def measure(
        self, target: Target, draw: Draw, learner: Learner, params: Params, present: frozenset[str]
    ) -> dict[str, Tensor]:
        assert isinstance(learner, HiddenStates)
        grammar = draw.unwrapped
        assert isinstance(grammar, HierarchyDraw)
        rows = torch.arange(self.rows).expand(len(draw.seeds), -1)
        x = probe_inputs(draw, self.rows)
        start = self._read(draw, learner, params, present, x)
        other_strings = draw.inputs("probe/others", rows)
        others = self._read(draw, learner, params, present, other_strings)
        values: dict[str, Tensor] = {}
        for level in range(1, grammar.target.L):
            redrawn = grammar.redraw(x, level, "probe/synonyms", rows)
            synonyms = self._read(draw, learner, params, present, redrawn)
            for k in learner.levels(target):
                ratio = undefined(len(draw.seeds))
                if k in start:
                    distance = mean_squared_distance(start[k], synonyms[k])
                    ratio = (distance / mean_squared_distance(start[k], others[k])).cpu()
                values[f"synonyms{level}/{k}"] = ratio
        return values

    @staticmethod
    def _read(
        draw: Draw, learner: HiddenStates, params: Params, present: frozenset[str], x: Tensor
    ) -> dict[int, Tensor]:
        return learner.activations(params, draw.encode(x), present)


def mean_squared_distance(h: Tensor, g: Tensor) -> Tensor:
    """E‖h − g‖² over the rows of (R, B, units), (R,), float64."""
    return (h.double() - g.double()).square().sum(2).mean(1)
