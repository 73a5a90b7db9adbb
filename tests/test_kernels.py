"""Kernels against independent computations of the same values.

One battery over all YAML files of conf/baseline, so that a new kernel is tested without an edit
here; direct formulas; Monte Carlo over finite wide networks; and a committed table of the library
neural-tangents.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bfc.baselines.features import FeatureRidge
from bfc.baselines.kernels import NNGP, NTK, RBF, Laplace, Polynomial
from bfc.baselines.linearised import Linearised
from bfc.baselines.ridge import KernelRidge
from bfc.errors import UserError


@pytest.fixture
def kernel(baseline_name, build, node) -> KernelRidge:
    has_width = "width" in node("baseline", baseline_name)
    options = {"width": 64} if has_width else {}
    baseline = build("baseline", baseline_name, **options)
    if not isinstance(baseline, KernelRidge):
        pytest.skip("not a kernel")
    return baseline


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def points(d: int) -> Tensor:
    """Random inputs with aligned, opposite, near-duplicate and zero points among them."""
    x = gaussian(40, d)
    x[1] = 2.5 * x[0]
    x[2] = -x[0]
    x[3] = x[0] + 1e-6 * x[5]
    x[4] = 0.0
    return x


# --- one battery over conf/baseline -------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 7, 40])
def test_kernel_is_a_kernel(kernel, d):
    """Symmetric, bounded and positive semi-definite.

    The tangent kernel depends on the angle between inputs, which has half of the digits (1e-8)
    where they are parallel or antiparallel.
    """
    x = points(d)
    before = x.clone()
    k = kernel.gram(x, x)
    assert k.shape == (40, 40) and k.dtype == torch.float64 and k.isfinite().all()
    assert torch.equal(x, before), "gram changed its inputs"
    diagonal = k.diagonal()
    bound = (diagonal[:, None] * diagonal).sqrt()
    assert (k - k.T).abs().max() <= 2e-8 * diagonal.max()
    if d > 2:  # otherwise nearly parallel inputs are among the random ones too
        assert (k - k.T)[5:, 5:].abs().max() <= 1e-12 * diagonal.max()
    assert (k.abs() <= bound * (1 + 1e-10) + 1e-12).all(), "Cauchy–Schwarz"
    assert torch.linalg.eigvalsh(k)[0] >= -1e-9 * diagonal.sum(), "not positive semi-definite"


def test_kernel_is_one_on_typical_inputs(kernel):
    """Exactly 1 on the sphere; kernels on random or explicit features only on average."""
    x = gaussian(200, 12)
    if isinstance(kernel, (FeatureRidge, Linearised)):
        assert 0.6 < kernel.gram(x, x).diagonal().mean() < 1.7
        return
    x = gaussian(200, 30)
    on_sphere = x * math.sqrt(30) / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        kernel.gram(on_sphere, on_sphere).diagonal(),
        torch.ones(200, dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )
    assert 0.8 < kernel.gram(x, x).diagonal().median() < 1.25


def test_kernel_does_not_depend_on_blocks(kernel):
    x, z = gaussian(37, 9), gaussian(23, 9, seed=1)
    whole = kernel.gram(x, z)
    for size in (1, 5, 16):
        rows = []
        for a in x.split(size):
            rows.append(torch.cat([kernel.gram(a, b) for b in z.split(size)], 1))
        blocks = torch.cat(rows)
        torch.testing.assert_close(blocks, whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(kernel.gram(z, x).T, whole, rtol=1e-12, atol=1e-13)


# --- direct formulas ----------------------------------------------------------------------------


def test_closed_forms_entry_by_entry():
    d = 6
    x, z = gaussian(5, d), gaussian(4, d, seed=1)
    expected = {
        Polynomial(degree=3, offset=0.5): lambda a, b: ((0.5 + a @ b / d) / 1.5) ** 3,
        Polynomial(degree=2, offset=0): lambda a, b: (a @ b / d) ** 2,
        RBF(bandwidth=0.7): lambda a, b: torch.exp(-(a - b).square().sum() / (2 * 0.49 * d)),
        Laplace(bandwidth=2): lambda a, b: torch.exp(-(a - b).norm() / (2 * math.sqrt(d))),
    }
    for kernel, formula in expected.items():
        values = [formula(a, b) for a, b in itertools.product(x, z)]
        table = torch.stack(values).reshape(len(x), len(z))
        torch.testing.assert_close(kernel.gram(x, z), table, rtol=1e-13, atol=1e-14)


def test_two_layer_network_kernels():
    """Depth 2 without biases: the arc-cosine kernels of degree 0 and 1 (Cho & Saul 2009)."""
    d = 5
    x, z = gaussian(6, d), gaussian(7, d, seed=1)
    norms = x.norm(dim=1)[:, None] * z.norm(dim=1)
    angle = torch.acos(x @ z.T / norms)
    first = norms / d * (angle.sin() + (math.pi - angle) * angle.cos()) / math.pi
    zeroth = x @ z.T / d * (math.pi - angle) / math.pi
    torch.testing.assert_close(NNGP(depth=2, bias=0.0).gram(x, z), first, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        NTK(depth=2, bias=0.0).gram(x, z), (first + zeroth) / 2, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("kind", [NTK, NNGP])
def test_networks_without_biases_are_homogeneous(kind):
    x, z = gaussian(6, 5), gaussian(7, 5, seed=1)
    kernel = kind(depth=4, bias=0.0)
    torch.testing.assert_close(kernel.gram(3 * x, z), 3 * kernel.gram(x, z))


# --- finite networks ----------------------------------------------------------------------------


def finite_network(
    x: Tensor, width: int, depth: int, bias: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Conjugate and tangent kernels of one random finite network, on the rows of ``x``.

    The network is that of NTK's docstring. The gradient by a weight matrix is (gradient by its
    pre-activations) ⊗ (its inputs), so the inner product of two gradients is a product of two inner
    products.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=x.dtype, generator=generator)

    inputs, outputs = [], []
    hidden = x
    for size in (*[width] * (depth - 1), 1):
        hidden = hidden * math.sqrt(2 / hidden.shape[1])
        output = (
            hidden @ normal(hidden.shape[1], size) + math.sqrt(bias) * normal(size)
        ).requires_grad_()
        inputs.append(hidden.detach())
        outputs.append(output)
        hidden = output.relu()
    gradients = torch.autograd.grad(outputs[-1].sum(), outputs)
    tangent = sum((g @ g.T) * (h @ h.T + bias) for g, h in zip(gradients, inputs, strict=True))
    return inputs[-1] @ inputs[-1].T + bias, tangent


@pytest.mark.parametrize(
    ("depth", "bias", "width"),
    [(2, 0.0, 30000), (2, 0.5, 30000), (3, 0.0, 1500), (3, 0.5, 1500), (4, 0.0, 1500)],
)
def test_closed_forms_are_limits_of_finite_networks(depth, bias, width):
    """The mean over 32 wide networks agrees within 5 of its standard errors, plus the bias.

    The bias of a finite width is of order (depth − 2) / width.
    """
    networks = 32
    x = gaussian(4, 4)
    x[1] = -x[0]
    generator = torch.Generator().manual_seed(depth)
    samples = [finite_network(x, width, depth, bias, generator) for _ in range(networks)]
    for name, kernel, scale in (
        ("nngp", NNGP(depth=depth, bias=bias), 2 + depth * bias),
        ("ntk", NTK(depth=depth, bias=bias), 2 * depth + bias * depth * (depth + 1) / 2),
    ):
        empirical = torch.stack([sample[name == "ntk"] for sample in samples]) / scale
        closed = kernel.gram(x, x)
        size = (closed.diagonal()[:, None] * closed.diagonal()).sqrt()
        error = (empirical.mean(0) - closed).abs() / size
        allowed = 5 * empirical.std(0) / math.sqrt(networks) / size + (depth - 2) / width
        assert (error <= allowed).all(), (name, error, allowed)
        assert allowed.max() < 0.1, "too few networks to tell"


# --- neural-tangents ----------------------------------------------------------------------------

PEER = json.loads((Path(__file__).parent / "data" / "neural_tangents.json").read_text())


@pytest.mark.parametrize("case", PEER["cases"], ids=lambda case: f"d={len(case['x'][0])}")
def test_closed_forms_equal_neural_tangents(case):
    """Relative to |x||z|/d: 1e-11 for the conjugate kernel, 1e-9 for the tangent kernel.

    5e-8 for the tangent kernel of aligned inputs, where the angle in neural-tangents carries the
    square root of its rounding error.
    """
    x = torch.tensor(case["x"], dtype=torch.float64)
    norms = x.norm(dim=1)
    cosine = x @ x.T / (norms[:, None] * norms)
    rows, columns = torch.triu_indices(len(x), len(x))
    aligned = (cosine.abs() > 1 - 1e-12)[rows, columns]
    for values in case["values"]:
        depth, bias = values["depth"], values["bias"]
        for name, kernel, scale in (
            ("nngp", NNGP(depth=depth, bias=bias), 2 + depth * bias),
            ("ntk", NTK(depth=depth, bias=bias), 2 * depth + bias * depth * (depth + 1) / 2),
        ):
            peer = torch.tensor(values[name], dtype=torch.float64) / scale
            error = (kernel.gram(x, x)[rows, columns] - peer).abs()
            error /= ((norms[:, None] * norms)[rows, columns] / x.shape[1] + bias).clamp(max=1e3)
            generic, parallel = (1e-11, 1e-11) if name == "nngp" else (1e-9, 5e-8)
            assert error[~aligned].max() < generic, (name, depth, bias)
            assert error[aligned].max() < parallel, (name, depth, bias)


@pytest.mark.parametrize(
    ("kind", "name", "label"),
    [
        (RBF, "bandwidth", "RBF kernel (bandwidth tuned)"),
        (Laplace, "bandwidth", "Laplace kernel (bandwidth tuned)"),
        (Polynomial, "degree", "polynomial kernel (degree tuned)"),
        (NTK, "depth", "ReLU NTK (depth tuned)"),
        (NNGP, "bias", "ReLU NNGP (depth 3, bias tuned)"),
    ],
)
def test_a_tuned_parameter_has_a_label_that_does_not_change_with_the_cell(kind, name, label):
    kernel = kind(**{name: "auto", f"{name}_grid": (2, 3)})
    assert kernel.label == label
    assert kernel.tuned_parameters == {name: (2, 3)} and kind().tuned_parameters == {}


# --- bad values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Polynomial, "degree", 0),
        (Polynomial, "degree", 2.5),
        (Polynomial, "degree", True),
        (Polynomial, "offset", -1),
        (Polynomial, "offset", "one"),
        (RBF, "bandwidth", 0),
        (RBF, "bandwidth", math.inf),
        (Laplace, "bandwidth", -1.0),
        (NTK, "depth", 1),
        (NTK, "depth", "three"),
        (NTK, "bias", -0.1),
        (NNGP, "depth", 2.0),
        (NNGP, "bias", math.nan),
        (RBF, "bandwidth", "wide"),
        (RBF, "bandwidth_grid", ()),
        (RBF, "bandwidth_grid", (1.0, 1.0)),
        (RBF, "bandwidth_grid", "auto"),
        (Polynomial, "degree_grid", (2, 2.5)),
        (Polynomial, "offset_grid", (-1.0,)),
        (NTK, "depth_grid", (1, 2)),
        (NTK, "bias_grid", (math.inf,)),
    ],
)
def test_bad_values_are_refused_with_a_sentence(kind, field, value):
    with pytest.raises(UserError, match=rf"^baseline\.{field}=.*: must be "):
        kind(**{field: value})
