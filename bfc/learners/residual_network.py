"""What residual networks of any kind of block share: how their stream is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from bfc.learners import phase_start
from bfc.learners.capabilities import HiddenStates
from bfc.learners.groups import check_chain, top_level
from bfc.types import Draw, Params, Stage, Target


class ResidualNetwork(HiddenStates):
    """Reads its stream at the highest level present: c + a_l · (what is read of h_l).

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
        """The stream after every level, from 1 on, and the statistics that were measured."""

    def _units(self, h: Tensor, replicas: int) -> Tensor:
        """What a read-out reads of the stream at one level, (R, B, units)."""
        return h

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
        """The representation after every block, level → (R, B, units)."""
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
        out, top = params["bias"].unsqueeze(1), top_level(present)
        if top == 1:
            out = out.expand(-1, x.shape[1], -1)
        else:
            stream, _ = self._stream(params, x, present, statistics)
            out = torch.baddbmm(out, self._units(stream[top], len(x)), params[f"a{top}"])
        return out.squeeze(2) if out.shape[2] == 1 else out
