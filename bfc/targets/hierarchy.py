"""The random hierarchy model: classes of strings that a random grammar makes level by level.

Depth enters the exponent of n* here (Cagnetta et al., PRX 14, 031001, arXiv:2307.02129), and
training level by level works (Ren, Dandi, Krzakala & Lee, arXiv:2601.19756): the opposite pole to
the compositions of quadratics, where levels need backward feature correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc.errors import require
from bfc.targets.capabilities import PatchTarget
from bfc.targets.class_target import ClassTarget, one_hot
from bfc.targets.hierarchy_facts import (
    kernel_theory,
    tree_theory,
    typical_shares,
    typical_signal,
)
from bfc.targets.hierarchy_strings import Strings
from bfc.targets.rule_tables import Grammar, Placement, RuleTables
from bfc.types import NOTHING_REVEALED, Draw, Revealed, Theory

MAX_TUPLES = 1 << 20
"""Largest v^s."""
MAX_LENGTH = 4096
"""Largest d."""
MIN_STRINGS = 128
"""Fewest strings: with fewer, none may be among the eighth that is held out."""


@dataclass(frozen=True)
class Hierarchy(ClassTarget, PatchTarget):
    """The class of a string of d = (s (s_0 + 1))^L cells, from rules that are redrawn per seed.

    A class becomes a tuple of s symbols of level L − 1, each of these a tuple of level L − 2 and so
    on down to the symbols that a method sees, as one-hot vectors of width d v. Every symbol has m
    tuples, and no two symbols of a level share one (:mod:`bfc.targets.rule_tables`). Class and
    rules are uniform. Test strings occur in no other role (:mod:`bfc.targets.hierarchy_strings`).

    Levels 2 … L + 1 carry features: what one, …, L steps of reading find, one-hot. Two classes are
    the labels ±1 of one output. Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.targets.hierarchy.Hierarchy"
    version: ClassVar[int] = 1
    derived_keys: ClassVar[Mapping[str, str]] = {
        "d": "is s^L, and (s (sparse + 1))^L with empty cells; change target.L, s or sparse"
    }

    v: int = 4
    """Symbols of every level below the class."""
    classes: int = 4
    m: int = 4
    """Tuples of every symbol and class (its synonyms)."""
    s: int = 2
    """Symbols in a tuple."""
    L: int = 3
    """Levels."""
    kind: Literal["random", "latin"] = "random"
    """Random rules, or ``latin``: parent = π(sum of its two children mod v), a control in which no
    part of a string says anything about its class."""
    zipf: float = 0.0
    """a of rule frequencies ∝ k^−(1+a) at level 1; 0: uniform."""
    sparse: int = 0
    """s_0: a tuple of s symbols has s (s_0 + 1) cells, and those without a symbol are empty."""
    placement: Placement = "fixed"
    """With empty cells: ``fixed``, where every symbol stands in one of s_0 + 1 cells of its own at
    random (variant A of arXiv:2404.10727), or ``free``, where the symbols stand in any of the
    tuple's cells, in their order (variant B)."""
    loss_by: Literal["cross_entropy", "squared"] = "cross_entropy"
    judged: Literal["zero_one", "squared"] = "zero_one"

    def __post_init__(self) -> None:
        limits = {"v": (2, 1024), "classes": (2, 1024), "s": (2, 16), "L": (1, 12)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            allowed = f"an integer from {low} to {high}"
            require(low <= value <= high, f"target.{name}", value, allowed)
        require(self.m >= 1, "target.m", self.m, "an integer >= 1")
        require(0 <= self.zipf <= 16, "target.zipf", self.zipf, "a number from 0 to 16")
        require(0 <= self.sparse <= 64, "target.sparse", self.sparse, "an integer from 0 to 64")
        tuples = self.v**self.s
        allowed = f"smaller: there are v^s = {tuples} tuples, and at most {MAX_TUPLES} are allowed"
        require(tuples <= MAX_TUPLES, "target.s", self.s, allowed)
        if self.kind == "latin":
            self._check_latin()
        if self.placement == "free":
            self._check_free_placement()
        self._check_number_of_rules(tuples)
        allowed = f"smaller: strings have {self.d} cells, and at most {MAX_LENGTH} are allowed"
        require(self.d <= MAX_LENGTH, "target.L", self.L, allowed)
        allowed = (
            f"larger: there are fewer than {MIN_STRINGS} strings, of which an eighth is unseen"
        )
        require(self.log_strings >= math.log(MIN_STRINGS), "target.L", self.L, allowed)

    def _check_latin(self) -> None:
        require(self.s == 2, "target.s", self.s, "2 with target.kind=latin")
        for name in ("m", "classes"):
            value, allowed = getattr(self, name), f"target.v = {self.v} with target.kind=latin"
            require(value == self.v, f"target.{name}", value, allowed)

    def _check_free_placement(self) -> None:
        allowed = "an integer >= 1 with target.placement=free"
        require(self.sparse >= 1, "target.sparse", self.sparse, allowed)
        subsets = math.comb(self.patch, self.s)
        allowed = (
            f"smaller with target.placement=free: {self.s} symbols stand in {self.patch} cells in "
            f"{subsets} ways, and at most {MAX_TUPLES} are allowed"
        )
        require(subsets <= MAX_TUPLES, "target.sparse", self.sparse, allowed)

    def _check_number_of_rules(self, tuples: int) -> None:
        most = tuples // max(self.v, self.classes)
        allowed = f"at most {most}: m max(v, classes) distinct tuples are drawn from v^s = {tuples}"
        require(self.m <= most, "target.m", self.m, allowed)

    @property
    def d(self) -> int:  # type: ignore[override]  # follows from s, sparse and L, so it is no field
        """Cells of a string."""
        return int(self.patch**self.L)

    @property
    def input_width(self) -> int:
        return self.d * self.v

    @property
    def outputs(self) -> int:
        return 1 if self.classes == 2 else self.classes

    @property
    def levels(self) -> tuple[int, ...]:
        return tuple(range(2, self.L + 2))

    @property
    def shown_depth(self) -> int:
        """L; the classes are one level above the highest symbols."""
        return self.L

    @property
    def patch(self) -> int:
        """Cells of a tuple, the empty ones included."""
        return self.s * (self.sparse + 1)

    @property
    def degree(self) -> int:
        return 0

    @property
    def log_strings(self) -> float:
        """ln of the number of strings that occur: n_c m^((s^L − 1)/(s − 1)) without empty cells."""
        symbols = int(self.s**self.L - 1) // (self.s - 1)
        ways = (self.sparse + 1) ** self.s
        if self.placement == "free":
            ways = math.comb(self.patch, self.s)
        return math.log(self.classes) + symbols * (math.log(self.m) + math.log(ways))

    @property
    def grammar(self) -> Grammar:
        """What the rules of every seed have in common."""
        return Grammar(
            self.v, self.classes, self.m, self.s, self.L, self.kind, self.sparse, self.placement
        )

    @property
    def has_uniform_strings(self) -> bool:
        """Whether the symbols of a string are independent and uniform."""
        return self.grammar.uses_all_tuples and not self.zipf and not self.sparse

    def facts(self) -> Mapping[str, Any]:
        """``log10_P_max`` of the number of strings; ``P_c``, the median over typical rules
        (:mod:`bfc.targets.tuple_signal`), and ``order_shares``, the mean
        (:mod:`bfc.targets.order_spectrum`), where they are defined."""
        facts: dict[str, Any] = {"log10_P_max": self.log_strings / math.log(10)}
        if self.zipf:
            return facts
        signal, shares = typical_signal(self.grammar), typical_shares(self.grammar)
        if signal is not None:
            facts["P_c"] = signal
        if shares is not None:
            facts["order_shares"] = shares.mean(0).tolist()
        return facts

    def theory(self) -> Mapping[str, Theory]:
        if self.zipf:
            return {}
        known = {"tree": tree_theory(self.grammar), "kernel": kernel_theory(self.grammar)}
        return {kind: theory for kind, theory in known.items() if theory is not None}

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> HierarchyDraw:
        strings = Strings(self.grammar.draw(seeds).to(device), tuple(seeds), self.zipf)
        return HierarchyDraw(self, strings, dtype)


@dataclass(frozen=True)
class HierarchyDraw(Draw):
    """R grammars; inputs x (R, B, d) are symbol numbers, −1 for an empty cell."""

    target: Hierarchy
    strings: Strings
    dtype: torch.dtype
    revealed: Revealed = NOTHING_REVEALED

    @property
    def seeds(self) -> tuple[int, ...]:  # type: ignore[override]
        return self.strings.seeds

    @property
    def rules(self) -> RuleTables:
        """The rules of every level."""
        return self.strings.rules

    @property
    def variance(self) -> Tensor:
        """Of the labels ±1; of several classes the error of the best constant answer."""
        if self.target.outputs == 1:
            return torch.ones(len(self.seeds), dtype=torch.float64)
        return self.chance

    @property
    def chance(self) -> Tensor:
        shares = [1 / self.target.classes] * self.target.classes
        error = self.target.constant_error(shares)
        return torch.full((len(self.seeds),), error, dtype=torch.float64)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        return self.strings.rows(role, rows).to(self.dtype)

    def encode(self, x: Tensor) -> Tensor:
        """One-hot vectors, (R, B, d v), zero for an empty cell."""
        return one_hot(x, self.target.v).flatten(2).to(x.dtype)

    def parse(self, x: Tensor) -> dict[int, Tensor]:
        """Level 0 (the input) … L (the class) → its symbols, as
        :meth:`bfc.targets.rule_tables.RuleTables.parse`."""
        return self.rules.parse(x)

    def labels(self, x: Tensor) -> Tensor:
        """The class of strings (R, B); −1, or 0 of the labels ±1, for what is no string."""
        root = self.parse(x)[self.rules.L].squeeze(2)
        if self.target.outputs == 1:
            root = torch.where(root < 0, 0, 2 * root - 1)
        return root.to(x.dtype)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """Level l → the symbols that l − 1 steps of reading find, one-hot, (R, B, cells · v)."""
        symbols = self.parse(x)
        features = {}
        for level in self.target.levels:
            count = self.target.classes if level == self.target.L + 1 else self.target.v
            features[level] = one_hot(symbols[level - 1], count).flatten(2).to(x.dtype)
        return features

    def redraw(self, x: Tensor, level: int, role: str, rows: Tensor) -> Tensor:
        """Strings (R, B, d) with the symbols of x at ``level`` and the rules below drawn again.

        Rules of levels 1 … ``level`` come from the rows (R, B) of the stream ``role``; the result
        may be a held-out string.
        """
        symbols = self.parse(x)[level]
        return self.strings.derive(level, symbols, role, rows).to(x.dtype)

    def select(self, index: Sequence[int]) -> HierarchyDraw:
        return replace(self, strings=self.strings.select(index))
