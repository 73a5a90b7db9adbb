"""What networks share that have a read-out at every level: how they are read.

A joint, staged or layer-wise schedule trains the read-out of the highest level present and drops
those below it, so that one network serves all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from bfc.learners import phase_start
from bfc.learners.capabilities import PhaseStates
from bfc.learners.groups import check_chain, top_level
from bfc.types import Draw, Params, Stage, Target


class LevelNetwork(PhaseStates):
    """A network that is read at the highest level present: c + a_l · (what is read of h_l).

    c is the parameter ``bias`` (R, outputs), a_l is ``a<l>`` (R, units, outputs).
    """

    supports_multi_output: ClassVar[bool] = True

    @abstractmethod
    def _stream(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None,
    ) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
        """h_l after every level, from 1 on, and the statistics that were measured."""

    def _units(self, h: Tensor, replicas: int) -> Tensor:
        """What a read-out reads of h_l, (R, B, units)."""
        return h

    def _readouts(self, present: frozenset[str]) -> list[tuple[int, str]]:
        """The levels that are read, each with the name of its read-out."""
        top = top_level(present)
        return [(top, f"a{top}")]

    def _with_phase_start(self, params: Params) -> Params:
        """Initial parameters, with copies as of the start of the phase if they are kept."""
        return params | phase_start.remember(params) if self.remember else params

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        check_chain(present)

    def on_phase_start(self, params: Params, draw: Draw, stage: Stage) -> Params:
        return phase_start.renew(params)

    def hidden(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> dict[int, Tensor]:
        """The representation after every level, level → (R, B, units)."""
        stream, _ = self._stream(params, x, present, statistics)
        return {level: self._units(h, len(x)) for level, h in stream.items() if level > 1}

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        return self._stream(params, x, present, None)[1]

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        out = params["bias"].unsqueeze(1).expand(-1, x.shape[1], -1)
        if top_level(present) > 1:
            stream, _ = self._stream(params, x, present, statistics)
            for level, name in self._readouts(present):
                out = torch.baddbmm(out, self._units(stream[level], len(x)), params[name])
        return out.squeeze(2) if out.shape[2] == 1 else out
