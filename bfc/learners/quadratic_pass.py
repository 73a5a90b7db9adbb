"""The forward pass of the quadratic network as training takes it, and its reverse pass by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from bfc.learners.groups import present_levels
from bfc.learners.products import products, products_reverse
from bfc.types import Params


def links(params: Params, level: int) -> list[tuple[str, int]]:
    """Names and sources of the matrices that a level reads with."""
    names = [name for name in params if name.startswith(f"K{level}_")]
    return [(name, int(name.rpartition("_")[2])) for name in names]


def read_source(j: int, x: Tensor, sources: dict[int, Tensor]) -> Tensor:
    """What a link to source ``j`` reads, (R, width, B).

    The inputs (0) and their squares (1) are computed when they are first read, and kept in
    ``sources``.
    """
    if j not in sources:
        sources[j] = x.mT if j == 0 else (x.mT.square() - 1) * 0.5**0.5
    return sources[j]


class QuadraticPass:
    """One forward pass over a batch, with what its reverse pass needs.

    ``out`` are the outputs (R, B) of :class:`bfc.learners.quadratic_densenet.QuadraticDenseNet`,
    centred by the batch.
    """

    def __init__(self, params: Params, x: Tensor, present: frozenset[str]) -> None:
        self.params, self.x, self.present = params, x, present
        self.levels = present_levels(present)
        self.features: dict[int, Tensor] = {}
        """Level → s_l, (R, p, B)."""
        self.sources: dict[int, Tensor] = {}
        """Source → what a link reads of it, (R, width, B)."""
        self.norms: dict[int, Tensor] = {}
        """Level → |s_l|^2 - mean, (R, B), where the read-out is fixed."""
        self.out = params["bias"].expand(-1, x.shape[1])
        read: set[int] = set()
        for level in self.levels:
            read |= {source for _, source in links(params, level)}
        for level in self.levels:
            self._add_level(level, is_read=level in read)

    def _add_level(self, level: int, is_read: bool) -> None:
        s = self._features(level)
        self.features[level] = s
        if is_read or self._has_readout(level):
            phi = products(s)
            self.sources[level] = phi.sub_(phi.mean(2, keepdim=True))
        if self._has_readout(level):
            readout = self.params[f"Q{level}"].unsqueeze(1)
            self.out = self.out + torch.bmm(readout, self.sources[level]).squeeze(1)
        else:
            norm = s.square().sum(1)
            self.norms[level] = norm.sub_(norm.mean(1, keepdim=True))
            self.out = self.out + self.params[f"scale{level}"] * self.norms[level]

    def _features(self, level: int) -> Tensor:
        (first, j), *others = links(self.params, level)
        s = torch.bmm(self.params[first], read_source(j, self.x, self.sources))
        for name, source in others:
            s.baddbmm_(self.params[name], read_source(source, self.x, self.sources))
        return s

    def _has_readout(self, level: int) -> bool:
        return f"readout{level}" in self.present

    def pull_back(self, slope: Tensor, trained: frozenset[str]) -> Params:
        """Gradients of the trained parameters from that of the outputs, (R, B)."""
        grads = {"bias": slope.sum(1, keepdim=True)}
        centred = slope - slope.mean(1, keepdim=True)
        lowest = self._lowest(trained)
        from_above: dict[int, Tensor] = {}
        for level in reversed(self.levels):
            name, gradient = self._readout_gradient(level, slope)
            grads[name] = gradient
            if level >= lowest:
                delta = self._feature_gradient(level, centred, from_above.get(level))
                grads |= self._link_gradients(level, delta, trained)
                self._send_below(level, delta, lowest, from_above)
        return grads

    def _lowest(self, trained: frozenset[str]) -> int:
        """The lowest level that trains; above all where none does."""
        for level in self.levels:
            if any(name in trained for name, _ in links(self.params, level)):
                return level
        return max(self.levels, default=1) + 1

    def _readout_gradient(self, level: int, slope: Tensor) -> tuple[str, Tensor]:
        if self._has_readout(level):
            gradient = torch.bmm(self.sources[level], slope.unsqueeze(2)).squeeze(2)
            return f"Q{level}", gradient
        return f"scale{level}", (slope * self.norms[level]).sum(1, keepdim=True)

    def _feature_gradient(self, level: int, centred: Tensor, above: Tensor | None) -> Tensor:
        """Gradient with respect to s_l; ``above`` is that of its products from higher levels."""
        s = self.features[level]
        if self._has_readout(level):
            readout = self.params[f"Q{level}"].unsqueeze(2) * centred.unsqueeze(1)
            return products_reverse(s, readout if above is None else above.add_(readout))
        delta = torch.zeros_like(s) if above is None else products_reverse(s, above)
        return delta.addcmul_(s, (2 * self.params[f"scale{level}"] * centred).unsqueeze(1))

    def _link_gradients(self, level: int, delta: Tensor, trained: frozenset[str]) -> Params:
        grads = {}
        for name, j in links(self.params, level):
            if name in trained:
                grads[name] = torch.bmm(delta, read_source(j, self.x, self.sources).mT)
        return grads

    def _send_below(
        self, level: int, delta: Tensor, lowest: int, from_above: dict[int, Tensor]
    ) -> None:
        """Add to the gradients of the products that ``level`` reads."""
        for name, j in links(self.params, level):
            if j >= lowest:
                part = torch.bmm(self.params[name].mT, delta)
                part -= part.mean(2, keepdim=True)
                from_above[j] = part if j not in from_above else from_above[j].add_(part)
