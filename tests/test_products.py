"""Products by oneDNN, one replica at a time, are those of torch.bmm: values, gradients and
gradients of gradients, on plain tensors, views and broadcast ones; and only large float32 products
on a CPU go there. Where this machine would not choose oneDNN it is made to."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from bfc import matmul as products
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.types import Training

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN"
)


@pytest.fixture
def onednn(monkeypatch) -> list[tuple[int, ...]]:
    """Everything goes to oneDNN; the shapes of what did."""
    used: list[tuple[int, ...]] = []
    plain = products.one

    def one(a, b, row=None):
        used.append((*a.shape, b.shape[1]))
        return plain(a, b, row)

    monkeypatch.setattr(products, "LARGE", 1)
    monkeypatch.setattr(products, "faster", lambda: True)
    monkeypatch.setattr(products, "one", one)
    return used


def operands(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(shapes))
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 7, 5), (33, 64, 17), (256, 32, 512)])
def test_values(onednn, sizes, transposed):
    m, k, n = sizes
    a, b = operands(
        (3, k, m) if transposed[0] else (3, m, k), (3, n, k) if transposed[1] else (3, k, n)
    )
    a, b = a.mT if transposed[0] else a, b.mT if transposed[1] else b
    (c,), (row,) = operands((3, m, n)), operands((3, 1, n))
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(products.product(a, b), torch.bmm(a, b), **close)
    torch.testing.assert_close(products.affine(c, a, b), torch.baddbmm(c, a, b), **close)
    torch.testing.assert_close(products.affine(row, a, b), torch.baddbmm(row, a, b), **close)
    assert len(onednn) == 9 and set(onednn) == {(m, k, n)}
    same = a[:1].expand(3, -1, -1)
    torch.testing.assert_close(products.product(same, b), torch.bmm(same, b), **close)
    assert torch.equal(products.product(a, b)[1], products.product(a[1:2], b[1:2])[0]), (
        "a replica depends on its company"
    )


@pytest.mark.parametrize("row", [True, False])
def test_gradients(onednn, row):
    def found(affine):
        leaves = [
            t.requires_grad_() for t in operands((2, 1 if row else 4, 6), (2, 4, 5), (2, 5, 6))
        ]
        out = affine(*leaves)
        grads = torch.autograd.grad((out.square() * out).sum(), leaves, create_graph=True)
        return out, *grads, *torch.autograd.grad(sum(g.square().sum() for g in grads), leaves)

    for one, other in zip(found(products.affine), found(torch.baddbmm), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-2)
    assert onednn
    a, b = operands((2, 4, 5), (2, 5, 6))
    onednn.clear()
    torch.autograd.grad(products.product(a.requires_grad_(), b).sum(), [a])
    assert len(onednn) == 4, "the gradient of what needs none was computed"


def test_only_what_gains_goes_there(onednn, monkeypatch):
    monkeypatch.setattr(products, "LARGE", 2 * 3 * 4)
    for dtype, shape, used in (
        (torch.float32, (2, 3, 4), 2),
        (torch.float32, (2, 3, 3), 0),
        (torch.float64, (2, 3, 4), 0),
    ):
        onednn.clear()
        m, k, n = shape
        products.product(torch.ones(2, m, k, dtype=dtype), torch.ones(2, k, n, dtype=dtype))
        assert len(onednn) == used
    onednn.clear()
    products.product(torch.ones(2, 9, 9, device="meta"), torch.ones(2, 9, 9, device="meta"))
    monkeypatch.setattr(products, "faster", lambda: False)
    products.product(torch.ones(2, 9, 9), torch.ones(2, 9, 9))
    assert not onednn


def test_a_training_is_the_same(pair, onednn, monkeypatch):
    """Of every learner on every target, whichever of its products go there."""
    learner, target = pair
    phases = (
        Phase(tuple(group for group in learner.groups(target) if not group.startswith("readout"))),
    )
    recipe = Recipe(
        target,
        learner,
        Schedule(phases, "all", steps=6, check_every=3),
        Adam(batch=16, lr=1e-3, warmup=2),
        test=64,
    )
    trainings = [Training(40, 0), Training(24, 1)]
    found = train(recipe, trainings)
    modules = [sys.modules[base.__module__] for base in type(learner).__mro__]
    assert bool(onednn) == any(
        hasattr(module, name) for module in modules for name in ("product", "affine")
    )
    monkeypatch.setattr(products, "faster", lambda: False)
    for record, other in zip(found, train(replace(recipe), trainings), strict=True):
        assert record["risk"] == pytest.approx(other["risk"], rel=1e-3)
