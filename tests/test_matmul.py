"""Matrix products by oneDNN, one replica at a time, are those of torch.bmm.

Values, gradients and gradients of gradients, on plain tensors, views and broadcast ones; and only
large float32 products on a CPU go to oneDNN. Where this machine would not choose oneDNN the tests
make it.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from bfc import matmul
from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.optimizers.adam import Adam
from bfc.schedules import Phase, Schedule
from bfc.types import Training

pytestmark = pytest.mark.skipif(not matmul.has_onednn_matmul(), reason="this torch has no oneDNN")


@pytest.fixture
def onednn(monkeypatch) -> list[tuple[int, ...]]:
    """Send every product to oneDNN; returns the list of the shapes (M, K, N) that went there."""
    shapes: list[tuple[int, ...]] = []
    onednn_matmul = matmul.onednn_matmul

    def record(a, b, row=None):
        shapes.append((*a.shape, b.shape[1]))
        return onednn_matmul(a, b, row)

    monkeypatch.setattr(matmul, "MIN_ONEDNN_MULTIPLICATIONS", 1)
    monkeypatch.setattr(matmul, "prefers_onednn", lambda: True)
    monkeypatch.setattr(matmul, "onednn_matmul", record)
    return shapes


def operands(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(shapes))
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 7, 5), (33, 64, 17), (256, 32, 512)])
def test_values(onednn, sizes, transposed):
    m, k, n = sizes
    transpose_a, transpose_b = transposed
    a, b = operands(
        (3, k, m) if transpose_a else (3, m, k), (3, n, k) if transpose_b else (3, k, n)
    )
    if transpose_a:
        a = a.mT
    if transpose_b:
        b = b.mT
    (c,) = operands((3, m, n))
    (row,) = operands((3, 1, n))
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(matmul.matmul(a, b), torch.bmm(a, b), **close)
    torch.testing.assert_close(matmul.affine(c, a, b), torch.baddbmm(c, a, b), **close)
    torch.testing.assert_close(matmul.affine(row, a, b), torch.baddbmm(row, a, b), **close)
    assert len(onednn) == 9 and set(onednn) == {(m, k, n)}
    same = a[:1].expand(3, -1, -1)
    torch.testing.assert_close(matmul.matmul(same, b), torch.bmm(same, b), **close)
    assert torch.equal(matmul.matmul(a, b)[1], matmul.matmul(a[1:2], b[1:2])[0]), (
        "a replica depends on the others of its stack"
    )


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("row", [True, False])
def test_gradients(onednn, row, replicas):
    def value_and_gradients(affine):
        shapes = [(replicas, 1 if row else 4, 6), (replicas, 4, 5), (replicas, 5, 6)]
        leaves = [tensor.requires_grad_() for tensor in operands(*shapes)]
        out = affine(*leaves)
        grads = torch.autograd.grad((out.square() * out).sum(), leaves, create_graph=True)
        norm = sum(grad.square().sum() for grad in grads)
        return out, *grads, *torch.autograd.grad(norm, leaves)

    def product_in_place(c, a, b):
        return matmul.matmul(a, b).add_(c)

    references = value_and_gradients(torch.baddbmm)
    for function in (matmul.affine, product_in_place):
        for result, reference in zip(value_and_gradients(function), references, strict=True):
            torch.testing.assert_close(result, reference, rtol=1e-3, atol=1e-2)
    assert onednn
    a, b = operands((2, 4, 5), (2, 5, 6))
    onednn.clear()
    torch.autograd.grad(matmul.matmul(a.requires_grad_(), b).sum(), [a])
    assert len(onednn) == 4, "the gradient of what needs none was computed"


@pytest.mark.parametrize(
    "dtype, shape, calls",
    [
        (torch.float32, (2, 3, 4), 2),
        (torch.float32, (2, 3, 3), 0),
        (torch.float64, (2, 3, 4), 0),
    ],
)
def test_only_large_float32_products_go_to_onednn(onednn, monkeypatch, dtype, shape, calls):
    monkeypatch.setattr(matmul, "MIN_ONEDNN_MULTIPLICATIONS", 2 * 3 * 4)
    m, k, n = shape
    matmul.matmul(torch.ones(2, m, k, dtype=dtype), torch.ones(2, k, n, dtype=dtype))
    assert len(onednn) == calls


def test_other_devices_and_machines_keep_to_torch(onednn, monkeypatch):
    matmul.matmul(torch.ones(2, 9, 9, device="meta"), torch.ones(2, 9, 9, device="meta"))
    monkeypatch.setattr(matmul, "prefers_onednn", lambda: False)
    matmul.matmul(torch.ones(2, 9, 9), torch.ones(2, 9, 9))
    assert not onednn


def test_a_training_is_the_same(pair, onednn, monkeypatch):
    """Every learner on every target, whichever of its products go to oneDNN."""
    learner, target = pair
    groups = [name for name in learner.groups(target) if not name.startswith("readout")]
    recipe = Recipe(
        target,
        learner,
        Schedule((Phase(tuple(groups)),), "all", steps=6, check_every=3),
        Adam(batch=16, lr=1e-3, warmup=2),
        test=64,
    )
    trainings = [Training(40, 0), Training(24, 1)]
    by_onednn = train(recipe, trainings)
    assert bool(onednn) == uses_matmul(type(learner))
    monkeypatch.setattr(matmul, "prefers_onednn", lambda: False)
    by_torch = train(replace(recipe), trainings)
    for record, reference in zip(by_onednn, by_torch, strict=True):
        assert record["risk"] == pytest.approx(reference["risk"], rel=1e-3)


def uses_matmul(learner: type) -> bool:
    """Whether the module of the learner, or of a class it derives from, imports the products."""
    names = set()
    for base in learner.__mro__:
        names |= set(vars(sys.modules[base.__module__]))
    return bool(names & {"matmul", "affine"})
