"""How long until a training begins: wall seconds of fresh processes, from start to the import of
the engine, to a checked configuration and to the end of the first training step, beside a bare
``import torch`` in the same run, and which heavy packages are loaded by then.

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
    "    train_chunk(*a); import json, os\n"
    "    loaded = [m for m in {heavy!r} if m in sys.modules]\n"
    "    print(json.dumps(loaded), flush=True); os._exit(0)\n"
    "Trainer.train_chunk = train_first_chunk\n"
    "from bfc.train import main; main()",
}


def measure(repeats: int) -> dict[str, Any]:
    """Median wall seconds per stage, and what is loaded at the first step; stages take turns."""
    taken: dict[str, list[float]] = {name: [] for name in STAGES}
    loaded: list[str] = []
    for _ in range(repeats + 1):
        for name, code in STAGES.items():
            with tempfile.TemporaryDirectory() as folder:
                text = (
                    code.format(line=[*TINY, f"results={folder}"], heavy=HEAVY)
                    if "{" in code
                    else code
                )
                began = time.perf_counter()
                done = subprocess.run(
                    [sys.executable, "-c", text],
                    capture_output=True,
                    text=True,
                    cwd=ROOT,
                    check=True,
                )
                taken[name].append(time.perf_counter() - began)
            if name == "first step":
                loaded = json.loads(done.stdout.splitlines()[-1])
    return {
        "seconds": {name: statistics.median(values[1:]) for name, values in taken.items()},
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
    finish(
        "startup",
        figures,
        [
            Aim(
                "first step / bare import of torch",
                seconds["first step"] / seconds["torch"],
                2.0,
                at_most=True,
            ),
            Aim("heavy packages loaded at the first step", len(figures["loaded"]), 0, at_most=True),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
