"""Where the correlation of a lowest tuple with the class rises above the noise of a sample.

The mechanism by which networks, and clustering, learn a random hierarchy (Cagnetta et al., PRX 14,
031001, section IV): tuples of one symbol have the same correlation with the class, and are told
apart from others once that correlation is seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bfc.targets.rule_tables import RuleTables


def class_given_symbol(rules: RuleTables) -> Tensor:
    """P(class | symbol of level 1 at every place), (R, places, v, classes) float64.

    With uniform classes and rules, from the top down: the joint law of the class and a symbol is
    multiplied by the share of a symbol's tuples that have a given child. NaN for a symbol that does
    not occur at a place.
    """
    replicas, classes = rules.tuples[-1].shape[:2]
    identity = torch.eye(classes, dtype=torch.float64) / classes
    joint = identity.expand(replicas, 1, -1, -1)
    for tuples in reversed(rules.tuples[1:]):
        children = _children_shares(tuples, rules.v, rules.s)
        joint = torch.einsum("rpac,rsab->rpsbc", joint, children).flatten(1, 2)
    return joint / joint.sum(3, keepdim=True)


def signal_samples(rules: RuleTables) -> Tensor:
    """P_c = m v (1 − 1/n_c)/σ², (R,) float64: n where signal meets noise.

    σ² is the mean over places and tuples of Σ_c (P(c | tuple) − 1/n_c)². Infinite without signal.
    """
    posterior = class_given_symbol(rules)
    classes = posterior.shape[3]
    deviations = (posterior - 1 / classes).square().sum(3)
    variance = deviations.flatten(1).nanmean(1)
    scale = rules.m * rules.v * (1 - 1 / classes)
    is_zero = variance < 1e-24
    return torch.where(is_zero, torch.inf, scale / variance.masked_fill(is_zero, 1.0))


def _children_shares(tuples: Tensor, v: int, s: int) -> Tensor:
    """The share of a parent's tuples with symbol b at position i, (R, s, parents, v)."""
    powers = v ** torch.arange(s - 1, -1, -1)
    children = tuples.unsqueeze(1) // powers.view(-1, 1, 1) % v
    counts = torch.zeros(*children.shape[:3], v, dtype=torch.float64)
    ones = torch.ones(children.shape, dtype=torch.float64)
    return counts.scatter_add(3, children, ones) / tuples.shape[2]
