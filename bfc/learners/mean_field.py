"""The three-layer mean-field network of Ren, Zhou & Ge (arXiv:2304.01063; formulas recalled): a
first layer that is averaged to one scalar feature F, and a second that is averaged over neurons
reading it. Each layer has its own limit of infinite width with a finite-dimensional feature in
between; under a spherically symmetric first layer F(x) = α‖x‖ exactly, and the hinge σ(1 − ‖x‖) is
the network whose second-layer neurons all sit at (w2, b2) = (−1/α, 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.matmul import product
from bfc.targets.radius_laws import sphere_constant
from bfc.types import Draw, Learner, Params, Target


@dataclass(frozen=True)
class MeanField(Learner):
    """F(x) = (1/m1) Σ_i ‖w_i‖ σ(w_i·x), f(x) = (1/m2) Σ_j [a_j] σ(w2_j F(x) + b2_j) − mean, σ(z) =
    max(z, 0).

    Without output signs (``signed: false``, the paper's form) there are no a_j. ``mean`` is the
    target's own, told by the draw: labels have mean zero and the network has no output bias.
    Groups: ``level2`` (w), ``level3`` (w2, a) and ``bias`` (b2). Initial values: w uniform on the
    sphere of radius √(alpha / C_d), so that α = C_d E‖w‖² = ``alpha``, then the first half of the
    coordinates times ``anisotropy``; w2 ~ N(0, spread²) and b2 ~ N(offset, spread²), or, signed, w2
    = ±1 with kinks −b2/w2 uniform on [0, kinks] and a ~ N(0, readout_sd²). Mean-field rates:
    particle velocity is width times gradient, so w2, b2 and a have the multiplier m2 and w has rho
    m1 / (4 C_d), since α' = −4 C_d α E[g‖x‖] makes the first layer slower by 4 C_d ~ d^{−1/2}
    (derived)."""

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
    and w2, b2, a to [−clip, clip]; null: none. The paper trains by "a variant of gradient flow"
    with projections whose form was not recovered."""

    def __post_init__(self) -> None:
        for name in ("m1", "m2"):
            require(
                1 <= getattr(self, name) <= 1 << 22,
                f"learner.{name}",
                getattr(self, name),
                "an integer from 1 to 4194304",
            )
        for name in ("alpha", "anisotropy", "kinks", "rho"):
            require(
                0 < getattr(self, name) < 1e6,
                f"learner.{name}",
                getattr(self, name),
                "a number > 0, below 1e6",
            )
        for name in ("spread", "readout_sd"):
            require(
                0 <= getattr(self, name) < 1e6,
                f"learner.{name}",
                getattr(self, name),
                "a number >= 0, below 1e6",
            )
        require(
            self.clip is None or 0 < self.clip < 1e6,
            "learner.clip",
            self.clip,
            "null or a number > 0, below 1e6",
        )
        require(
            abs(self.offset) < 1e6, "learner.offset", self.offset, "a number between -1e6 and 1e6"
        )

    def check(self, target: Target) -> None:
        if not hasattr(target, "radius_law"):
            raise UserError(
                "learner=mean_field: its one scalar feature is a norm, so it needs a radial target, not "
                f"{type(target).__name__}; allowed: target=radial"
            )
        if target.input_width != target.d:
            raise UserError("learner=mean_field: reads the raw inputs; allowed: representation=raw")

    def check_present(self, target: Target, present: frozenset[str]) -> None:
        for name in ("level2", "level3"):
            if name not in present:
                raise UserError(
                    f"schedule: learner=mean_field is no network without {name}; name it under train or frozen in every phase"
                )

    def levels(self, target: Target) -> tuple[int, ...]:
        return (2, 3)

    def groups(self, target: Target) -> dict[str, tuple[str, ...]]:
        return {
            "level2": ("w",),
            "level3": ("w2", "a") if self.signed else ("w2",),
            "bias": ("b2",),
        }

    def rates(self, target: Target) -> Mapping[str, float]:
        if self.rates_of == "equal":
            return {}
        second = {"w2": float(self.m2), "b2": float(self.m2)} | (
            {"a": float(self.m2)} if self.signed else {}
        )
        return {"w": self.rho * self.m1 / (4 * sphere_constant(target.d)), **second}

    def init_params(self, target: Target, draw: Draw) -> Params:
        mean = draw.revealed["mean"]
        cast, seeds, d = {"dtype": mean.dtype, "device": mean.device}, draw.seeds, target.d
        w = random.normal(seeds, "init/w", (self.m1, d), **cast)
        w *= (self.alpha / sphere_constant(d)) ** 0.5 / w.norm(dim=2, keepdim=True)
        w[:, :, : d // 2] *= self.anisotropy
        w2, b2 = (random.normal(seeds, f"init/{name}", (self.m2,), **cast) for name in ("w2", "b2"))
        if not self.signed:
            return {
                "w": w,
                "w2": self.spread * w2,
                "b2": self.offset + self.spread * b2,
                "mean": mean.clone(),
            }
        w2 = w2.sign()
        place = random.uniform(
            random.keys(seeds, "init/kinks", mean.device).unsqueeze(1),
            torch.arange(self.m2, device=mean.device),
        )
        a = self.readout_sd * random.normal(seeds, "init/a", (self.m2,), **cast)
        return {
            "w": w,
            "w2": w2,
            "b2": -w2 * self.kinks * place.to(mean.dtype),
            "a": a,
            "mean": mean.clone(),
        }

    def project(self, params: Params) -> None:
        if self.clip is None:
            return
        w = params["w"]
        radius = (self.clip / sphere_constant(w.shape[2])) ** 0.5
        w.mul_((radius / w.norm(dim=2, keepdim=True)).clamp_(max=1))
        for name in ("w2", "b2", "a"):
            if name in params:
                params[name].clamp_(-self.clip, self.clip)

    def statistics(self, params: Params, x: Tensor, present: frozenset[str]) -> dict[str, Tensor]:
        return {}

    def feature(self, params: Params, x: Tensor) -> Tensor:
        """F(x), (R, B)."""
        v = params["w"] * params["w"].norm(dim=2, keepdim=True)
        return product(x, v.mT).relu_().mean(2)

    def top(self, params: Params, feature: Tensor) -> Tensor:
        """f as a function of the feature's values (R, B) → (R, B)."""
        h = torch.addcmul(
            params["b2"].unsqueeze(1), feature.unsqueeze(2), params["w2"].unsqueeze(1)
        ).relu()
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
        """‖w‖σ(w·x) = σ(v·x) with v = ‖w‖w leaves nothing but two large products. The incoming
        gradient is the same for every neuron of the first layer, so it scales the rows of x and not
        the activations, which only become their own signs."""
        w, w2, a = params["w"], params["w2"], params.get("a")
        norm = w.norm(dim=2, keepdim=True)
        first = product(x, (norm * w).mT).relu_()
        feature = first.mean(2)
        second = torch.addcmul(
            params["b2"].unsqueeze(1), feature.unsqueeze(2), w2.unsqueeze(1)
        ).relu_()
        out = (second if a is None else second * a.unsqueeze(1)).mean(2) - params["mean"]

        def back(slope: Tensor) -> Params:
            share, active = slope / self.m2, second.sign()
            pairs = torch.bmm(torch.stack([share, share * feature], 1), active)
            grads = {} if a is None else {"a": torch.bmm(share.unsqueeze(1), second).squeeze(1)}
            grads["b2"], grads["w2"] = (pairs if a is None else pairs * a.unsqueeze(1)).unbind(1)
            if "w" in trained:
                weight = w2 if a is None else w2 * a
                below = share * (active * weight.unsqueeze(1)).sum(2) / self.m1
                towards = product(first.sign_().mT, below.unsqueeze(2) * x)
                grads["w"] = norm * towards + (w * towards).sum(2, keepdim=True) / norm * w
            return grads

        return out, back

    def scale(self, params: Params, d: int) -> Tensor:
        """α = C_d E‖w‖², (R,): F(x) = α‖x‖ for a spherically symmetric first layer."""
        return sphere_constant(d) * params["w"].square().sum(2).mean(1)
