"""The depth-3 NTK by neural-tangents under jit, run by an environment of its own (.venv-peers, see
``make bench``): reads the points from standard input (float64), prints JSON with the median CPU
seconds and the matrix's first corner.

    .venv-peers/bin/python benchmarks/neural_tangents_peer.py N D REPEATS < points
"""

import json
import os
import statistics
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
import neural_tangents as nt  # noqa: E402
from neural_tangents import stax  # noqa: E402

n, d, repeats = map(int, sys.argv[1:4])
x = np.frombuffer(sys.stdin.buffer.read(), dtype=np.float64).reshape(n, d)
dense = stax.Dense(1, W_std=2**0.5, b_std=None)
_, _, kernel = stax.serial(dense, stax.Relu(), dense, stax.Relu(), dense)
ntk = jax.jit(lambda x: kernel(x, None, "ntk"))
taken = []
for _ in range(repeats + 1):
    began = time.process_time()
    matrix = ntk(x).block_until_ready()
    taken.append(time.process_time() - began)
print(
    json.dumps(
        {
            "seconds": statistics.median(taken[1:]),
            "jax": jax.__version__,
            "neural_tangents": nt.__version__,
            "corner": np.asarray(matrix[:8, :8]).tolist(),
        }
    )
)
