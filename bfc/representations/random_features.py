"""The neural representation of Chen et al. (arXiv:2006.13436): whitened random features.

g(x) = σ(Vx + b) with indicator or ReLU is whitened by its second moment on a separate unlabelled
sample (Algorithm 1). What the measured advantage rests on is recorded: the width, n0, and whether
directions beyond the leading ones were cut, which uses knowledge of the degree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.representations.base import Representation, degree2_dimension, rows_at_a_time
from bfc.types import Draw, Target

MAX_FEATURES = 1 << 15


@dataclass(frozen=True)
class RandomFeatures(Representation):
    """h = W g(x), g_j = σ(v_j·x + b_j), v_j uniform on the unit sphere, b_j ~ N(0, 1), j ≤ D.

    W is a function of Σ̂, the mean of g gᵀ over n0 unlabelled inputs (stream ``unlabelled``).
    ``full``: W = Σ̂^{-1/2} (the paper); ``truncated``: the leading ``keep`` eigenvectors, each
    scaled to second moment 1; ``regularised``: (Σ̂ + eps · mean eigenvalue)^{-1/2}; ``none``: one
    scalar that makes E|h|² = D.

    Raises :class:`bfc.errors.UserError` on bad values.
    """

    identity_name: ClassVar[str] = "bfc.representations.random_features.RandomFeatures"
    version: ClassVar[int] = 1

    activation: Literal["indicator", "relu"] = "relu"
    features: int | None = None
    """D; null: ``multiple`` times P2."""
    multiple: float = 16.0
    """D over P2 = (d+1)(d+2)/2 − 1, the dimension of degree ≤ 2; where ``features`` is null."""
    whitening: Literal["full", "truncated", "regularised", "none"] = "truncated"
    keep: int | None = None
    """Leading directions kept by ``truncated``; null: P2."""
    eps: float = 0.01
    """Ridge of ``regularised``, in units of the mean eigenvalue."""
    n0: int | None = None
    """Unlabelled inputs; null: max(20000, 10 D)."""

    def __post_init__(self) -> None:
        require(
            self.features is None or 1 <= self.features <= MAX_FEATURES,
            "representation.features",
            self.features,
            f"null or an integer from 1 to {MAX_FEATURES}",
        )
        require(
            0 < self.multiple <= 1e6,
            "representation.multiple",
            self.multiple,
            "a number from 0 (exclusive) to 1e6",
        )
        require(
            self.keep is None or self.keep >= 1,
            "representation.keep",
            self.keep,
            "null or an integer >= 1",
        )
        require(0 < self.eps < float("inf"), "representation.eps", self.eps, "a number > 0")
        require(
            self.n0 is None or 1 <= self.n0 <= 1 << 31,
            "representation.n0",
            self.n0,
            "null or an integer from 1 to 2147483648",
        )

    def check(self, target: Target) -> None:
        width = self._count(target)
        num_directions = self.output_width(target)
        require(
            width <= MAX_FEATURES,
            "representation.multiple",
            self.multiple,
            f"smaller: D = {width} features at target.d = {target.d}, at most {MAX_FEATURES}",
        )
        require(
            num_directions <= width,
            "representation.keep",
            self.keep,
            f"at most D = {width}, not {num_directions} directions",
        )
        if self.whitening in ("full", "truncated"):
            require(
                self._unlabelled(target) >= num_directions,
                "representation.n0",
                self.n0,
                f"at least {num_directions} at target.d = {target.d}: fewer inputs than directions "
                "cannot be whitened",
            )

    def _count(self, target: Target) -> int:
        """D, the number of random features."""
        if self.features is not None:
            return self.features
        return max(1, round(self.multiple * degree2_dimension(target.d)))

    def _unlabelled(self, target: Target) -> int:
        """n0, the number of unlabelled inputs."""
        if self.n0 is not None:
            return self.n0
        return max(20_000, 10 * self._count(target))

    def output_width(self, target: Target) -> int:
        if self.whitening != "truncated":
            return self._count(target)
        if self.keep is not None:
            return self.keep
        return min(degree2_dimension(target.d), self._count(target))

    def facts(self, target: Target) -> Mapping[str, Any]:
        return {"random_features": self._count(target), "unlabelled": self._unlabelled(target)}

    def build(self, target: Target, draw: Draw) -> dict[str, Tensor]:
        like = draw.inputs("unlabelled", torch.zeros(len(draw.seeds), 1, dtype=torch.int64))
        d = like.shape[2]
        width = self._count(target)
        stream = f"representation/{d}/{width}"
        v = random.normal(draw.seeds, f"{stream}/v", (d, width), like.dtype, like.device)
        b = random.normal(draw.seeds, f"{stream}/b", (1, width), like.dtype, like.device)
        raw = {"v": v / v.norm(dim=1, keepdim=True), "b": b}
        whiteners = []
        for r in range(len(v)):
            replica = {name: part[r : r + 1] for name, part in raw.items()}
            second = self._second_moment(target, draw.select([r]), replica)
            whiteners.append(self._whitener(second, self.output_width(target)))
        return raw | {"whiten": torch.stack(whiteners).to(like.device, like.dtype)}

    def _second_moment(self, target: Target, draw: Draw, raw: Mapping[str, Tensor]) -> Tensor:
        """Σ̂ (D, D) of one seed, float64, summed over chunks of rows."""
        n0 = self._unlabelled(target)
        width = raw["v"].shape[2]
        total = torch.zeros(width, width, dtype=torch.float64, device=raw["v"].device)
        step = rows_at_a_time(width, torch.float64)
        for start in range(0, n0, step):
            rows = torch.arange(start, min(start + step, n0)).unsqueeze(0)
            g = self._activate(raw, draw.encode(draw.inputs("unlabelled", rows)))[0].double()
            total = total + g.mT @ g
        return total / n0

    def _whitener(self, second: Tensor, keep: int) -> Tensor:
        """W as a matrix (D, kept) that multiplies g from the right; float64."""
        if self.whitening == "none":
            identity = torch.eye(len(second), dtype=second.dtype, device=second.device)
            return identity / second.diagonal().mean().sqrt()
        values, vectors = torch.linalg.eigh(second)
        floor = _eigenvalue_floor(values)
        if self.whitening == "truncated":
            return _leading_directions(vectors[:, -keep:], values[-keep:].clamp(min=floor))
        shift = self.eps * values.mean() if self.whitening == "regularised" else 0.0
        whitener: Tensor = (vectors * (values + shift).clamp(min=floor).rsqrt()) @ vectors.mT
        return whitener

    def _activate(self, raw: Mapping[str, Tensor], x: Tensor) -> Tensor:
        g = torch.baddbmm(raw["b"], x, raw["v"])
        return g.relu_() if self.activation == "relu" else (g >= 0).to(g.dtype)

    def encode(self, target: Target, parts: Mapping[str, Tensor], x: Tensor) -> Tensor:
        step = rows_at_a_time(parts["v"].shape[2] * len(x), x.dtype)
        chunks = []
        for rows in torch.split(x, step, 1):
            chunks.append(torch.bmm(self._activate(parts, rows), parts["whiten"]))
        return torch.cat(chunks, 1)


def _leading_directions(vectors: Tensor, values: Tensor) -> Tensor:
    """Eigenvectors (D, kept) over the roots of their eigenvalues; the largest entry is positive."""
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    return vectors * signs * values.rsqrt()


def _eigenvalue_floor(values: Tensor) -> Tensor:
    """The rounding error of the largest eigenvalue, as which smaller ones count."""
    return values[-1] * len(values) * torch.finfo(values.dtype).eps
