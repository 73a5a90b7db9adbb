"""Kernels in sequence against a second implementation, stage by stage, with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge as PeerRidge
from torch import Tensor

from bfc.baselines.sequential import Sequential
from bfc.targets.quadratic_densenet import QuadraticDenseNet

RIDGE = 1e-2


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def peer_fit(u: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """The function that scikit-learn fits to a stage, in a form that can be differentiated."""
    width, centre = u.shape[1], y.mean()
    peer = PeerRidge(alpha=RIDGE, kernel="polynomial", degree=2, gamma=0.5 / width, coef0=0.5)
    dual = torch.tensor(peer.fit(u.numpy(), (y - centre).numpy()).dual_coef_)
    return lambda v: ((1 + v @ u.T / width) / 2) ** 2 @ dual + centre


def all_products(s: Tensor, fitted: Tensor) -> Tensor:
    columns = []
    for i in range(s.shape[1]):
        columns += [s[:, i] * s[:, j] for j in range(i, s.shape[1])]
    return torch.stack([*columns, fitted], 1)


def balance(x: Tensor, phi: Tensor) -> Tensor:
    """(x, φ), each scaled to carry half of the squared norm."""
    half = (x.shape[1] + phi.shape[1]) / 2
    scaled = [part * (half / part.shape[1]) ** 0.5 for part in (x, phi)]
    return torch.cat(scaled, 1)


def test_kernels_in_sequence_equal_a_direct_computation():
    """Stage by stage with scikit-learn's kernel ridge regression, gradients by automatic
    differentiation."""
    draw = QuadraticDenseNet(d=5, L=3, widths=(2, 2)).draw([0], torch.float64)
    x = draw.inputs("train", torch.arange(100)[None])[0]
    x_test = draw.inputs("test", torch.arange(30)[None])[0]
    y = draw.labels(x[None])[0]
    u, u_test = x, x_test
    for rows in (slice(0, 33), slice(33, 66)):
        fitted = peer_fit(u[rows], y[rows])
        gradient = torch.stack([torch.autograd.functional.jacobian(fitted, v) for v in u[rows]])
        values, vectors = torch.linalg.eigh(gradient.T @ gradient)
        top = vectors[:, values.argsort(descending=True)[:3]]
        phi, phi_test = all_products(u @ top, fitted(u)), all_products(u_test @ top, fitted(u_test))
        mean = phi[rows].mean(0)
        deviation = (phi[rows] - mean).square().mean(0).sqrt()
        u = balance(x, (phi - mean) / deviation)
        u_test = balance(x_test, (phi_test - mean) / deviation)
    rows = slice(66, 100)
    expected = peer_fit(u[rows], y[rows])(u_test)
    predicted = Sequential(stages=3, passed=3, n_max=100).predict(x, y, x_test, [RIDGE])[0]
    torch.testing.assert_close(predicted, expected, rtol=1e-6, atol=1e-7)


def test_a_sequence_of_one_is_the_kernel():
    x, z = gaussian(50, 4), gaussian(9, 4, 1)
    y = x[:, 0] * x[:, 1]
    predicted = Sequential(stages=1, degree=3, n_max=50).predict(x, y, z, [0.1])
    peer = PeerRidge(alpha=0.1, kernel="polynomial", degree=3, gamma=1 / 8, coef0=0.5).fit(
        x.numpy(), (y - y.mean()).numpy()
    )
    np.testing.assert_allclose(
        predicted[0].numpy(), peer.predict(z.numpy()) + float(y.mean()), rtol=1e-8
    )


def test_several_outputs_pass_on_all_their_functions_and_gradients():
    """One stage fits each output by itself; a second one reads what all of them have found."""
    x, x_test = gaussian(120, 4), gaussian(20, 4, seed=1)
    y = x[:, 0] * x[:, 1] + 0.5 * x[:, 2]
    one_stage = Sequential(stages=1)
    columns = torch.stack([y, x[:, 3].square()], 1)
    both = one_stage.predict(x, columns, x_test, [RIDGE])
    assert both.shape == (1, 20, 2)
    for k in range(2):
        alone = one_stage.predict(x, columns[:, k], x_test, [RIDGE])
        torch.testing.assert_close(both[..., k], alone)
    machine = Sequential(stages=2, passed=2)
    once = machine.predict(x, columns, x_test, [RIDGE, 1.0])
    swapped = machine.predict(x, columns.flip(1), x_test, [RIDGE, 1.0])
    torch.testing.assert_close(once, swapped.flip(2), rtol=1e-7, atol=1e-9)
    first = machine.predict(x, y, x_test, [RIDGE, 1.0])
    assert not torch.allclose(once[..., 0], first), "the second output's directions are passed on"
