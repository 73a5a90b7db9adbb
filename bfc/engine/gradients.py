"""The gradient of a stack's training loss.

It comes from the learner's own reverse pass where it has one, else from automatic differentiation:
small products are bound by the number of passes over memory, of which automatic differentiation
makes more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.shapes import Float, Num
from bfc.types import Params, Stage, Target

Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Sequence[Tensor]]]
"""A batch (R, B, input_width), (R, B) → training loss (R,) without regularisers, and a gradient per
trained parameter."""


def gradient_of(recipe: Recipe, params: Params, trained: Sequence[str], stage: Stage) -> Gradient:
    """The gradient with respect to the ``trained`` ones of ``params``.

    The parameters are read anew for every batch, and are marked for automatic differentiation where
    that is used. A learner's reverse pass serves where nothing but its outputs depends on them.
    """
    if recipe.learner.has_vjp and not recipe.learner.has_penalty:
        return _reverse(recipe, params, trained, stage)
    for name in trained:
        params[name].requires_grad_()
    return _automatic(recipe, params, trained, stage)


def _reverse(recipe: Recipe, params: Params, trained: Sequence[str], stage: Stage) -> Gradient:
    learner, names = recipe.learner, frozenset(trained)
    loss_and_slope = _squared_loss if recipe.target.has_squared_loss else _loss_of(recipe.target)

    def gradient(
        x: Float[Tensor, "R B d"], y: Num[Tensor, "R B"]
    ) -> tuple[Float[Tensor, " R"], Sequence[Tensor]]:
        with torch.no_grad():
            out, back = learner.vjp(params, x, stage.present, names)
        loss, slope = loss_and_slope(out, y)
        with torch.no_grad():
            grads = back(slope)
        return loss.detach(), [
            grads[name] if name in grads else torch.zeros_like(params[name]) for name in trained
        ]

    return gradient


def _squared_loss(
    out: Float[Tensor, "R B"], y: Float[Tensor, "R B"]
) -> tuple[Float[Tensor, " R"], Float[Tensor, "R B"]]:
    """The mean squared loss per replica, and its derivative with respect to the outputs."""
    error = out - y
    slope = error * (2 / y.shape[1])
    return error.square().mean(1), slope


def _loss_of(target: Target) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A target's mean loss per replica, and its derivative with respect to the outputs."""

    def loss_and_slope(out: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        out.requires_grad_()
        loss = target.loss(out, y).mean(1)
        (slope,) = torch.autograd.grad(loss.sum(), out)
        return loss, slope

    return loss_and_slope


def _automatic(recipe: Recipe, params: Params, trained: Sequence[str], stage: Stage) -> Gradient:
    learner, target = recipe.learner, recipe.target

    def gradient(
        x: Float[Tensor, "R B d"], y: Num[Tensor, "R B"]
    ) -> tuple[Float[Tensor, " R"], Sequence[Tensor]]:
        loss = target.loss(learner.forward(params, x, stage.present), y).mean(1)
        penalty = learner.penalty(params, stage.present, stage.penalties)
        total = loss if penalty is None else loss + penalty
        grads = torch.autograd.grad(
            total.sum(),
            [params[name] for name in trained],
            allow_unused=True,
            materialize_grads=True,
        )
        return loss.detach(), grads

    return gradient
