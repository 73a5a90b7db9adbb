"""`make slurm-demo`: a whole launch on a real SLURM of four virtual nodes on this machine.

Every command is printed before it runs. Some cells are bound to fail (a singular kernel), so that
failures, logs and retries are seen too. Needs root and Debian's slurm-wlm, which is installed if it
is missing. Only the results folder stays behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.slurm_box import running_slurm
from bfc.errors import UserError

SWEEP = (
    "hydra/launcher=slurm",
    "target.d=4,6,8",
    "schedule=staged,joint",
    "schedule.steps=400",
    "schedule.check_every=50",
    "measure.n=[16,32,64,128,256,512]",
    "measure.seeds=8",
    "measure.test=1024",
    "measure.confirm=0",
    "compute.device=cpu",
    "baseline=rbf",
    "baseline.n_max=256",
    "baseline.ridge=0,1e-6",
    "baseline.bandwidth=1e8",
    "hydra.launcher.mem=300M",
    "hydra.launcher.cells_per_task=2",
)


def bfc(folder: Path, *arguments: str) -> int:
    """Show a command and run it."""
    print(f"\n$ bfc {' '.join(arguments)}", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "bfc.cli", *arguments], cwd=folder, check=False
    ).returncode


def main() -> int:
    """Exit status 0 if the cycle went as it should: some cells done, the singular ones failed."""
    folder = Path(tempfile.mkdtemp(prefix="bfc-slurm-demo-"))
    try:
        with running_slurm(folder / "box") as variables:
            os.environ.update(variables)
            print(f"a SLURM of four nodes runs below {folder}/box", flush=True)
            subprocess.run(["sinfo"], check=True)
            bfc(folder, "plan", *SWEEP)
            launched = bfc(folder, "launch", *SWEEP)
            bfc(folder, "status", "--watch")
            bfc(folder, "logs", "--failed", "--lines", "3")
            bfc(folder, "retry", "--failed")
            ended = bfc(folder, "wait")
            collected = bfc(folder, "collect")
        shutil.rmtree(folder / "box")
    except UserError as error:
        print(f"bfc: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"\nSLURM is gone; results and report: {folder}")
    return int(not (launched == 0 and ended == 1 and collected == 0))


if __name__ == "__main__":
    sys.exit(main())
