"""When a phase of a schedule ends before its last step, and which parameters it keeps.

The engine evaluates risks and losses (:mod:`bfc.engine.stop_rules`) and asks the rule here at every
check. A rule with parameters of its own is a change of this file alone
(docs/change_the_early_stop.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bfc.errors import require


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """The early stop of a schedule; its fields are keys of the schedule."""

    patience: int | None = None
    """Checks without a better validation risk after which a phase ends early; null: never."""

    def __post_init__(self) -> None:
        valid_patience = self.patience is None or self.patience >= 1
        require(valid_patience, "schedule.patience", self.patience, "null or an integer >= 1")

    def has_improved(self, risk: Tensor, best: Tensor) -> Tensor:
        """Whether a validation risk (R,) is better than the best (R,) of the phase so far."""
        return risk < best

    def ends_phase(self, step: int, stale_checks: int, is_loss_low: bool) -> bool:
        """Whether a phase of one training ends at a check, after ``step`` steps.

        ``stale_checks`` is the number of checks since the last improvement; ``is_loss_low`` says
        whether the training loss has reached the phase's ``until``.
        """
        is_out_of_patience = self.patience is not None and stale_checks >= self.patience
        return is_out_of_patience or is_loss_low
