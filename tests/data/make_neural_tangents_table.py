"""Makes tests/data/neural_tangents.json: NNGP and tangent kernels of infinitely wide ReLU networks
as the library neural-tangents computes them, against which tests/test_kernels.py holds our closed
forms. It is run by hand, in an environment of its own, because neural-tangents pins old versions of
jax and numpy:

    python3.11 -m venv /tmp/nt /tmp/nt/bin/pip install "neural-tangents==0.6.5" "jax==0.4.30"
    "jaxlib==0.4.30" "numpy<2" "scipy<1.13" /tmp/nt/bin/python
    tests/data/make_neural_tangents_table.py

The values are those of the peer's parametrisation W_std = √2, b_std = √bias, without our
normalisation; row by row, the upper triangle of each matrix."""

import json
from pathlib import Path

import jax
import neural_tangents as nt
import numpy as np
from neural_tangents import stax

jax.config.update("jax_enable_x64", True)


def points(d: int) -> np.ndarray:
    """Two typical points; then, relative to the first: itself scaled, its opposite, an orthogonal
    one, and near duplicates at relative distances 1e-1, 1e-3 and 1e-5; a short point; shape (9, d).
    """
    rng = np.random.default_rng(d)
    x, other, away = rng.standard_normal((3, d))
    orthogonal = other - x * (other @ x) / (x @ x)
    away *= np.linalg.norm(x) / np.linalg.norm(away)
    near = [x + step * away for step in (1e-1, 1e-3, 1e-5)]
    return np.stack([x, other, 1.7 * x, -x, orthogonal, *near, 0.01 * other])


def network(depth: int, bias: float):
    """Kernel function of ``depth`` weight layers."""
    dense = {"W_std": 2**0.5, "b_std": bias**0.5 if bias else None}
    hidden = [layer for _ in range(depth - 1) for layer in (stax.Dense(1, **dense), stax.Relu())]
    return stax.serial(*hidden, stax.Dense(1, **dense))[2]


def main() -> None:
    cases = []
    for d in (2, 3, 10, 64):
        x = points(d)
        entry = {"x": x.tolist(), "values": []}
        for depth in (2, 3, 4, 5):
            for bias in (0.0, 0.3):
                kernels = network(depth, bias)(x, x, ("nngp", "ntk"))._asdict()
                upper = {
                    name: np.asarray(k)[np.triu_indices(len(x))].tolist()
                    for name, k in kernels.items()
                }
                entry["values"].append({"depth": depth, "bias": bias, **upper})
        cases.append(entry)
    versions = {"neural-tangents": nt.__version__, "jax": jax.__version__, "numpy": np.__version__}
    table = {"versions": versions, "dtype": "float64", "cases": cases}
    Path(__file__).with_name("neural_tangents.json").write_text(json.dumps(table) + "\n")


if __name__ == "__main__":
    main()
