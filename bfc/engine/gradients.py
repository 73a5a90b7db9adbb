"""The gradient of a stack's training loss, by the learner's own reverse pass where it has one and
by automatic differentiation where it has not: small products are bound by the number of passes over
memory, of which automatic differentiation makes more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bfc.engine.recipe import Recipe
from bfc.types import Learner, Params, Stage, Target

Gradient = Callable[[Tensor, Tensor], tuple[Tensor, Sequence[Tensor]]]
"""A batch (R, B, input_width), (R, B) → training loss (R,) without regularisers, and a gradient per
trained parameter."""


def gradient_of(recipe: Recipe, params: Params, trained: Sequence[str], stage: Stage) -> Gradient:
    """The gradient with respect to the ``trained`` ones of ``params``, which are read anew for
    every batch (and are marked for automatic differentiation where that is used). A learner's
    reverse pass serves where nothing but its outputs depends on the parameters."""
    kind = type(recipe.learner)
    if kind.vjp is not Learner.vjp and kind.penalty is Learner.penalty:
        return _reverse(recipe, params, trained, stage)
    for name in trained:
        params[name].requires_grad_()
    return _automatic(recipe, params, trained, stage)


def _reverse(recipe: Recipe, params: Params, trained: Sequence[str], stage: Stage) -> Gradient:
    learner, target, names = recipe.learner, recipe.target, frozenset(trained)
    squared = getattr(target.loss, "__func__", None) is Target.loss

    def gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        with torch.no_grad():
            out, back = learner.vjp(params, x, stage.present, names)
        if squared:
            error = out - y
            slope, loss = error * (2 / y.shape[1]), error.square().mean(1)
        else:
            out.requires_grad_()
            loss = target.loss(out, y).mean(1)
            (slope,) = torch.autograd.grad(loss.sum(), out)
        with torch.no_grad():
            grads = back(slope)
        return loss.detach(), [
            grads[name] if name in grads else torch.zeros_like(params[name]) for name in trained
        ]

    return gradient


def _automatic(recipe: Recipe, params: Params, trained: Sequence[str], stage: Stage) -> Gradient:
    learner, target = recipe.learner, recipe.target

    def gradient(x: Tensor, y: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
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
