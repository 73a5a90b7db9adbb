"""Deep ReLU networks as targets: moments in closed form and what torch computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from target_checks import rows

from bfc.errors import UserError
from bfc.targets.relu_network import ReluNetwork


def test_the_moments_of_one_hidden_layer_are_those_of_the_arc_cosine_kernel():
    """E relu(u·z) relu(v·z) = |u||v| (sin t + (π − t) cos t)/2π for z ~ N(0, I) and u, v at angle t
    (Cho & Saul, NeurIPS 2009); E relu(u·z) = |u|/√2π."""
    draw = ReluNetwork(d=5, widths=(6,)).draw([0, 3], torch.float64)
    for r in range(2):
        w, a = draw.weights[0][r].numpy(), draw.weights[1][r, 0].numpy()
        size = np.linalg.norm(w, axis=1)
        cosine = np.clip(w @ w.T / np.outer(size, size), -1, 1)
        angle = np.arccos(cosine)
        second = np.outer(size, size) * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
        mean = a @ size / np.sqrt(2 * np.pi)
        variance = a @ second @ a - mean**2
        _, stated, error = draw.moments[r].tolist()
        assert stated == pytest.approx(variance, abs=4 * error) and error < 0.01 * variance
        assert draw.moments[r, 0].item() == pytest.approx(mean, abs=4 * (variance / 2**17) ** 0.5)


def test_a_relu_network_is_what_torch_computes():
    draw = ReluNetwork(d=6, directions=2, widths=(5, 4, 4)).draw([1], torch.float64)
    layers: list[torch.nn.Module] = []
    for w in draw.weights:
        layer = torch.nn.Linear(w.shape[2], w.shape[1], bias=False, dtype=torch.float64)
        layer.weight.data = w[0]
        layers += [layer, torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    x = draw.inputs("train", rows(40, 1))
    values = network(x[0] @ draw.frame[0].T).squeeze(1).detach()
    mean, variance, _ = draw.moments[0]
    torch.testing.assert_close(draw.labels(x)[0], (values - mean) / variance.sqrt())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"widths": (8, 3)}, "target.widths=.*integers from 4 to 256"),
        ({"directions": 9, "widths": (8,)}, "target.directions=9: must be an integer from 1 to 8"),
        ({"d": 2}, "target.directions=3: must be an integer from 1 to 2"),
    ],
)
def test_bad_relu_networks_are_refused(values, words):
    with pytest.raises(UserError, match=words):
        ReluNetwork(**{"d": 16, **values})
