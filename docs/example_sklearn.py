"""Makes docs/example_sklearn.csv, the table of another program that docs/measurement.md fits:
scikit-learn's kernel ridge regression learns random quadratic forms, 8 fresh runs at each of 5
sample sizes for 6 dimensions.

    python docs/example_sklearn.py"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.kernel_ridge import KernelRidge


def main() -> None:
    rows = []
    for dim in (4, 6, 8, 12, 16, 24):
        for samples in np.geomspace(0.35 * dim**2, 1.4 * dim**2, 5).round().astype(int):
            for _ in range(8):
                run = len(rows)
                rng = np.random.default_rng(run)
                form = rng.standard_normal((dim, dim))
                x = rng.standard_normal((samples + 1000, dim))
                y = np.einsum("ni,ij,nj->n", x, form, x) - np.trace(form)
                model = KernelRidge(kernel="poly", degree=2, gamma=1 / dim, alpha=1e-3).fit(
                    x[:samples], y[:samples]
                )
                mse = np.mean((model.predict(x[samples:]) - y[samples:]) ** 2)
                rows.append(
                    {
                        "dim": dim,
                        "samples": samples,
                        "run": run,
                        "test_mse": mse,
                        "label_variance": np.var(y[samples:]),
                    }
                )
    pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
