"""Two networks of one seed: the same target and data, different starts and batches.

What two such networks have in common is what data and architecture decide (Wang et al.,
arXiv:1810.11750). A seed fixes everything, so twins have to live in one learner; that their rows
are halves of each batch is the one way to train both without another loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from bfc.learners.initialiser import Initialiser
from bfc.learners.mlp import MLP
from bfc.types import Draw, Params, Target

TWIN = "twin_"
"""What the names of the second network's parameters begin with."""


@dataclass(frozen=True)
class Twin(MLP):
    """Two multilayer perceptrons, of which the first answers.

    In training (``forward`` without statistics, and :meth:`vjp`) the first network is given the
    first half of the rows, rounded up, and the second the others, so that each takes steps on half
    a batch at half the weight: with SGD at half the learning rate. In evaluation all rows go to the
    first. Groups hold the parameters of both; the second's begin with ``twin_``.
    """

    identity_name: ClassVar[str] = "bfc.learners.twin.Twin"

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        groups = super().groups(target)
        return {key: (*names, *(TWIN + name for name in names)) for key, names in groups.items()}

    def init_params(self, target: Target, draw: Draw) -> Params:
        second = replace(Initialiser.like_inputs(draw), prefix=TWIN)
        twin = self._draw_start(target, second)
        return super().init_params(target, draw) | {TWIN + name: p for name, p in twin.items()}

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        if statistics is not None:
            return super().forward(params, x, present, statistics)
        half = first_half(x.shape[1])
        first = super().forward(params, x[:, :half], present)
        second = super().forward(second_network(params), x[:, half:], present)
        return torch.cat([first, second], 1)

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        half = first_half(x.shape[1])
        trained_second = frozenset(name.removeprefix(TWIN) for name in trained if is_second(name))
        first, back_first = super().vjp(params, x[:, :half], present, trained)
        second, back_second = super().vjp(
            second_network(params), x[:, half:], present, trained_second
        )

        def back(slope: Tensor) -> Params:
            grads = back_first(slope[:, :half].contiguous())
            twin = back_second(slope[:, half:].contiguous())
            return grads | {TWIN + name: gradient for name, gradient in twin.items()}

        return torch.cat([first, second], 1), back


def first_half(rows: int) -> int:
    """Rows of a batch that the first network is trained on."""
    return (rows + 1) // 2


def is_second(name: str) -> bool:
    return name.startswith(TWIN)


def second_network(params: Params) -> Params:
    """The parameters of the second network, under the names of the first."""
    return {name.removeprefix(TWIN): p for name, p in params.items() if is_second(name)}
