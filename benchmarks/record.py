"""What every benchmark ends with: the aims, each met or short, and the figures in a JSON file.

There is one file per machine with the figures of all benchmarks, so that figures of different
machines can be compared and are never mixed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bfc.environment import hardware

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Aim:
    """One figure against what was hoped for; larger is better unless ``at_most``."""

    name: str
    figure: float
    aim: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.figure <= self.aim if self.at_most else self.figure >= self.aim

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        outcome = "met" if self.met else "short"
        return f"{self.name}: {self.figure:.3g} (aim {sign} {self.aim:g}) {outcome}"


def machine(device: str = "cpu") -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "hardware": hardware(torch.device(device)),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def finish(
    benchmark: str,
    figures: Any,
    aims: list[Aim],
    folder: Path | None = RESULTS,
    device: str = "cpu",
) -> Mapping[str, Any]:
    """Print the aims and write the figures into ``<folder>/<hardware>.json``.

    They stand there under the benchmark's name. Without a folder they are only printed.
    """
    for aim in aims:
        print(aim)
    entry = {
        "machine": machine(device),
        "date": time.strftime("%Y-%m-%d"),
        "figures": figures,
        "aims": [asdict(aim) | {"met": aim.met} for aim in aims],
    }
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", entry["machine"]["hardware"].lower()).strip("-")
        file = folder / f"{name}-{os.cpu_count()}-cores.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | {benchmark: entry}, indent=1, sort_keys=True) + "\n")
        print(f"written to {file}")
    return entry
