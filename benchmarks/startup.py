"""How long until a training begins, in wall seconds of fresh processes.

Measured are the import of the engine and the end of the first training steps, beside a bare
``import torch`` in the same run. Also listed: which heavy packages are loaded by then.

    python -m benchmarks.startup [--repeats 5] [--json FOLDER]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, Aim, finish

ROOT = Path(__file__).parents[1]
TINY = (
    "schedule.steps=20",
    "schedule.check_every=1",
    "optimizer.warmup=2",
    "measure.seeds=1",
    "measure.n=[16]",
    "measure.test=64",
    "measure.confirm=0",
    "probe=none",
    "compute.device=cpu",
)
HEAVY = ("wandb", "pandas", "matplotlib", "sklearn", "submitit", "scipy.stats")
STAGES = {
    "python": "pass",
    "torch": "import torch",
    "engine": "import bfc.engine.trainer",
    "first step": "import sys; sys.argv = ['bfc-train', *{line!r}]\n"
    "from bfc.engine.trainer import Trainer\n"
    "train_chunk = Trainer.train_chunk\n"
    "def train_first_chunk(*a):\n"
    "    train_chunk(*a)\n"
    "    import json, os\n"
    "    loaded = [m for m in {heavy!r} if m in sys.modules]\n"
    "    print(json.dumps(loaded), flush=True); os._exit(0)\n"
    "Trainer.train_chunk = train_first_chunk\n"
    "from bfc.train import main; main()",
}


def run_stage(code: str) -> tuple[float, str]:
    """Wall seconds and output of a fresh process that runs the code of a stage."""
    with tempfile.TemporaryDirectory() as folder:
        if "{" in code:
            code = code.format(line=[*TINY, f"results={folder}"], heavy=HEAVY)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        )
        return time.perf_counter() - start, done.stdout


def measure(repeats: int) -> dict[str, Any]:
    """Median wall seconds per stage, and what is loaded at the first step; stages take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in STAGES}
    loaded: list[str] = []
    for _ in range(repeats + 1):
        for name, code in STAGES.items():
            elapsed, output = run_stage(code)
            seconds[name].append(elapsed)
            if name == "first step":
                loaded = json.loads(output.splitlines()[-1])
    return {
        "seconds": {name: statistics.median(values[1:]) for name, values in seconds.items()},
        "loaded": loaded,
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    options = parser.parse_args(arguments)
    figures = measure(options.repeats)
    seconds = figures["seconds"]
    for name, value in seconds.items():
        print(f"{name}: {value:.2f} s")
    print(f"heavy packages loaded at the first step: {', '.join(figures['loaded']) or 'none'}")
    ratio = seconds["first step"] / seconds["torch"]
    aims = [
        Aim("first step / bare import of torch", ratio, 2.0, at_most=True),
        Aim("heavy packages loaded at the first step", len(figures["loaded"]), 0, at_most=True),
    ]
    finish("startup", figures, aims, options.json)


if __name__ == "__main__":
    main()
