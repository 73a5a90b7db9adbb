"""The three-layer mean-field network of Ren, Zhou & Ge (arXiv:2304.01063; formulas recalled).

A first layer is averaged to one scalar feature F, and a second is averaged over neurons that read
it. Each layer has its own limit of infinite width with a finite-dimensional feature in between.
Under a spherically symmetric first layer F(x) = α‖x‖ exactly, and the hinge σ(1 − ‖x‖) is the
network whose second-layer neurons all sit at (w2, b2) = (−1/α, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.learners.groups import require_groups
from bfc.learners.initialiser import Initialiser
from bfc.matmul import matmul
from bfc.targets.capabilities import RadialTarget, read_mean
from bfc.targets.radius_laws import sphere_constant
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class MeanField(Learner):
    """F(x) = (1/m1) Σ_i ‖w_i‖ σ(w_i·x), f(x) = (1/m2) Σ_j [a_j] σ(w2_j F(x) + b2_j) − mean.

    σ(z) = max(z, 0). Without output signs (``signed: false``, the paper's form) there are no a_j.
    ``mean`` is the target's, revealed by the draw: labels have mean zero and the network has no
    output bias. Groups: ``level2`` (w), ``level3`` (w2, a) and ``bias`` (b2).

    Initial values: w uniform on the sphere of radius √(alpha / C_d), so that α = C_d E‖w‖² =
    ``alpha``, then the first half of the coordinates times ``anisotropy``; w2 ~ N(0, spread²) and
    b2 ~ N(offset, spread²), or, signed, w2 = ±1 with kinks −b2/w2 uniform on [0, kinks] and
    a ~ N(0, readout_sd²).

    Mean-field rates: particle velocity is width times gradient, so w2, b2 and a have the multiplier
    m2 and w has rho m1 / (4 C_d), since α' = −4 C_d α E[g‖x‖] makes the first layer slower by
    4 C_d ~ d^{−1/2} (derived).
    """

    identity_name: ClassVar[str] = "bfc.learners.mean_field.MeanField"
    version: ClassVar[int] = 1
    needs_reference: ClassVar[bool] = False

    m1: int = 512
    m2: int = 128
    alpha: float = 0.5
    anisotropy: float = 1.0
    spread: float = 0.01
    offset: float = 0.1
    signed: bool = False
    kinks: float = 2.0
    readout_sd: float = 1.0
    rates_of: Literal["mean_field", "equal"] = "mean_field"
    """The multipliers above, or 1 for every parameter."""
    rho: float = 1.0
    """Rate of the first layer relative to the second, in rescaled units."""
    clip: float | None = None
    """Projection after every step: w_i into the ball of radius √(clip / C_d), so that α <= clip,
    and w2, b2, a to [−clip, clip]; null: none.

    The paper trains by "a variant of gradient flow" with projections whose form was not recovered.
    """

    def __post_init__(self) -> None:
        for name, width in {"m1": self.m1, "m2": self.m2}.items():
            valid = 1 <= width <= 1 << 22
            require(valid, f"learner.{name}", width, "an integer from 1 to 4194304")
        positive = {
            "alpha": self.alpha,
            "anisotropy": self.anisotropy,
            "kinks": self.kinks,
            "rho": self.rho,
        }
        for name, value in positive.items():
            require(0 < value < 1e6, f"learner.{name}", value, "a number > 0, below 1e6")
        for name, value in {"spread": self.spread, "readout_sd": self.readout_sd}.items():
            require(0 <= value < 1e6, f"learner.{name}", value, "a number >= 0, below 1e6")
        valid_clip = self.clip is None or 0 < self.clip < 1e6
        require(valid_clip, "learner.clip", self.clip, "null or a number > 0, below 1e6")
        valid_offset = abs(self.offset) < 1e6
        require(valid_offset, "learner.offset", self.offset, "a number between -1e6 and 1e6")

    def check(self, target: Target) -> None:
        if not isinstance(target.unwrapped, RadialTarget):
            raise UserError(
                "learner=mean_field: its one scalar feature is a norm, so it needs a radial "
                f"target, not {type(target).__name__}; allowed: target=radial"
            )
        if target.input_width != target.d:
            raise UserError("learner=mean_field: reads the raw inputs; allowed: representation=raw")

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        require_groups("mean_field", ("level2", "level3"), present)

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2, 3)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        top = ("w2", "a") if self.signed else ("w2",)
        return {"level2": ("w",), "level3": top, "bias": ("b2",)}

    def rates(self, target: Target) -> Mapping[str, float]:
        if self.rates_of == "equal":
            return {}
        rates = {"w": self.rho * self.m1 / (4 * sphere_constant(target.d))}
        for name in ("w2", "b2", "a") if self.signed else ("w2", "b2"):
            rates[name] = float(self.m2)
        return rates

    def init_params(self, target: Target, draw: Draw) -> Params:
        mean = read_mean(draw)
        initial, d = Initialiser.like(draw, mean), target.d
        w = initial.normal("w", self.m1, d)
        w *= (self.alpha / sphere_constant(d)) ** 0.5 / w.norm(dim=2, keepdim=True)
        w[:, :, : d // 2] *= self.anisotropy
        top = self._signed_top(initial) if self.signed else self._unsigned_top(initial)
        return {"w": w, **top, "mean": mean.clone()}

    def _unsigned_top(self, initial: Initialiser) -> Params:
        """Initial w2 and b2 of neurons without output signs."""
        w2, b2 = initial.normal("w2", self.m2), initial.normal("b2", self.m2)
        return {"w2": self.spread * w2, "b2": self.offset + self.spread * b2}

    def _signed_top(self, initial: Initialiser) -> Params:
        """Initial w2, b2 and a of neurons with output signs."""
        w2 = initial.normal("w2", self.m2).sign()
        keys = random.keys(initial.seeds, "init/kinks", initial.device).unsqueeze(1)
        place = random.uniform(keys, torch.arange(self.m2, device=initial.device))
        b2 = -w2 * self.kinks * place.to(initial.dtype)
        return {"w2": w2, "b2": b2, "a": self.readout_sd * initial.normal("a", self.m2)}

    def project(self, params: Params) -> None:
        if self.clip is None:
            return
        w = params["w"]
        radius = (self.clip / sphere_constant(w.shape[2])) ** 0.5
        w.mul_((radius / w.norm(dim=2, keepdim=True)).clamp_(max=1))
        for name in ("w2", "b2", "a"):
            if name in params:
                params[name].clamp_(-self.clip, self.clip)

    def feature(self, params: Params, x: Tensor) -> Tensor:
        """F(x), (R, B)."""
        v = params["w"] * params["w"].norm(dim=2, keepdim=True)
        return matmul(x, v.mT).relu_().mean(2)

    def top(self, params: Params, feature: Tensor) -> Tensor:
        """f as a function of the feature's values (R, B) → (R, B)."""
        h = _neurons(params, feature).relu()
        if self.signed:
            h = h * params["a"].unsqueeze(1)
        return h.mean(2) - params["mean"]

    def forward(
        self,
        params: Params,
        x: Tensor,
        present: frozenset[str],
        statistics: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        return self.top(params, self.feature(params, x))

    def vjp(
        self, params: Params, x: Tensor, present: frozenset[str], trained: frozenset[str]
    ) -> tuple[Tensor, Callable[[Tensor], Params]]:
        """See :meth:`bfc.types.Learner.vjp`; two large products and nothing else of their size.

        ‖w‖σ(w·x) = σ(v·x) with v = ‖w‖w. The incoming gradient is the same for every neuron of the
        first layer, so it scales the rows of x and not the activations, which only become their own
        signs.
        """
        w, w2, a = params["w"], params["w2"], params.get("a")
        norm = w.norm(dim=2, keepdim=True)
        first = matmul(x, (norm * w).mT).relu_()
        feature = first.mean(2)
        second = _neurons(params, feature).relu_()
        out = (second if a is None else second * a.unsqueeze(1)).mean(2) - params["mean"]

        def back(slope: Tensor) -> Params:
            share, active = slope / self.m2, second.sign()
            pairs = torch.bmm(torch.stack([share, share * feature], 1), active)
            grads = {} if a is None else {"a": torch.bmm(share.unsqueeze(1), second).squeeze(1)}
            grads["b2"], grads["w2"] = (pairs if a is None else pairs * a.unsqueeze(1)).unbind(1)
            if "w" in trained:
                weight = w2 if a is None else w2 * a
                below = share * (active * weight.unsqueeze(1)).sum(2) / self.m1
                towards = matmul(first.sign_().mT, below.unsqueeze(2) * x)
                grads["w"] = norm * towards + (w * towards).sum(2, keepdim=True) / norm * w
            return grads

        return out, back

    def scale(self, params: Params, d: int) -> Tensor:
        """α = C_d E‖w‖², (R,): F(x) = α‖x‖ for a spherically symmetric first layer."""
        return sphere_constant(d) * params["w"].square().sum(2).mean(1)


def _neurons(params: Params, feature: Tensor) -> Tensor:
    """w2_j F + b2_j of the second layer, (R, B) → (R, B, m2)."""
    w2, b2 = params["w2"].unsqueeze(1), params["b2"].unsqueeze(1)
    return torch.addcmul(b2, feature.unsqueeze(2), w2)
