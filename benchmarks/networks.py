"""The benchmarked networks as one would write them for a single replica.

They use operations that torch and jax share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

Array = Any


@dataclass(frozen=True)
class Ops:
    """What the two libraries call differently."""

    relu: Callable[[Array], Array]
    take: Callable[[Array, list[int]], Array]
    """Columns of a matrix."""


def perceptron(p: Mapping[str, Array], x: Array, ops: Ops) -> Array:
    """:class:`bfc.learners.mlp.MLP`: inputs (B, d) → outputs (B,)."""
    top = max(int(name[1:]) for name in p if name.startswith("W"))
    for level in range(2, top + 1):
        x = ops.relu(x @ p[f"W{level}"] + p[f"b{level}"])
    return x @ p[f"a{top}"] + p["bias"][0]


def quadratic(p: Mapping[str, Array], x: Array, ops: Ops) -> Array:
    """:class:`bfc.learners.quadratic_densenet.QuadraticDenseNet`, centred over the batch.

    Each level reads the level below and x. Inputs (B, d) → outputs (B,).
    """
    out, phi = p["bias"][0], None
    top = max(int(name[5:]) for name in p if name.startswith("scale"))
    for level in range(2, top + 1):
        s = x @ p[f"K{level}_0"].T
        if phi is not None:
            s = s + (phi - phi.mean(0)) @ p[f"K{level}_{level - 1}"].T
        norm = (s * s).sum(1)
        out = out + p[f"scale{level}"][0] * (norm - norm.mean())
        first, second = zip(*combinations_with_replacement(range(s.shape[1]), 2), strict=True)
        phi = ops.take(s, list(first)) * ops.take(s, list(second))
    return out


def mean_field(p: Mapping[str, Array], x: Array, ops: Ops) -> Array:
    """:class:`bfc.learners.mean_field.MeanField` without signs: (B, d) → (B,)."""
    w = p["w"]
    feature = (ops.relu(x @ w.T) * ((w * w).sum(1) ** 0.5)).mean(1)
    return ops.relu(feature[:, None] * p["w2"] + p["b2"]).mean(1) - p["mean"][0]
