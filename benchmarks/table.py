"""The committed figures as Markdown, so that a page in the docs is printed and never typed.

Per machine: the aims of every benchmark, what a step and a curve cost there, and the roofline
sentences.

    python -m benchmarks.table [--json FOLDER]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import RESULTS
from benchmarks.training import roofline
from benchmarks.training_aims import rate_aims

LABELS = {"beside": "fusion"}
"""Names of benchmarks that are printed otherwise than they are stored."""
MODULES = {"first_step": "training", "study_cells": "training"}
"""Benchmarks that another module runs."""
EARLIER_TEST_ROWS = 1024
"""Test rows of stored costs of curves that do not say how many there were."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def aims_of(benchmark: str, entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The aims as they were stored; those of training as they are now, from the stored rates."""
    if benchmark != "training":
        stored: Sequence[Mapping[str, Any]] = entry["aims"]
        return stored
    device = "cuda" if "NVIDIA" in entry["machine"]["hardware"] else "cpu"
    judged = rate_aims(entry["figures"], torch.device(device))
    return [{**asdict(aim), "met": aim.met} for aim in judged]


def aims(entries: Mapping[str, Any]) -> Iterator[str]:
    """Every aim of every benchmark."""
    rows = []
    for benchmark, entry in sorted(entries.items()):
        for aim in aims_of(benchmark, entry):
            sign = "≤" if aim["at_most"] else "≥"
            rows.append(
                (
                    LABELS.get(benchmark, benchmark),
                    aim["name"],
                    f"{aim['figure']:.3g}",
                    f"{sign} {aim['aim']:g}",
                    "met" if aim["met"] else "short",
                )
            )
    yield from table(("benchmark", "figure", "measured", "aim", ""), rows)


SIDES = {
    "stack": "ours",
    "plain": "operation by operation",
    "loop": "plain loop",
    "vmap": "vmap",
    "jax": "JAX",
    "eager": "without CUDA graph",
    "blocks": "blocks",
    "products": "products alone",
}
"""Column of the stored rates → its title."""


def measured_sides(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """The columns of rates that were measured, and of other steps than the stack's."""
    sides = ["stack"]
    for side in SIDES:
        rates = {row.get(side, math.nan) for row in rows} - {row["stack"] for row in rows}
        if not all(map(math.isnan, rates)):
            sides.append(side)
    return sides


def steps(figures: Mapping[str, Any]) -> Iterator[str]:
    """Replica-steps per second of every implementation."""
    cases = {name: case for name, case in figures.items() if isinstance(case, Mapping)}
    sides = measured_sides(list(chain.from_iterable(case["rows"] for case in cases.values())))
    lines = []
    for name, case in cases.items():
        for row in case["rows"]:
            rates = [f"{row[side]:,.0f}" for side in sides]
            lines.append((name, str(row["replicas"]), *rates, f"{row['of_wall']:.0%}"))
    titles = [SIDES[side] for side in sides]
    yield from table(("network", "R", *titles, "of the unfused limit"), lines)
    yield ""
    for name, case in cases.items():
        best = max(case["rows"], key=lambda row: row["stack"])
        yield f"- {roofline(name, best, figures['product_rate'], figures['copy_rate'])}"


def curves(figures: Mapping[str, Any]) -> Iterator[str]:
    """Seconds of whole curves in float64."""
    rows = [
        (
            str(row["n"]),
            f"{row['matrix_s']:.2f}",
            f"{row['factor_s']:.2f}",
            f"{row['factor_of_peak']:.0%}",
            f"{row['curve_s']:.2f}",
            f"{row['of_peak']:.0%}",
        )
        for row in figures["rows"]
    ]
    yield from table(
        (
            "n",
            "matrix, s",
            "factor, s",
            "share of the float64 matmul rate",
            "curve at every n, s",
            "share of the float64 matmul rate",
        ),
        rows,
    )


def first_steps(figures: Mapping[str, Any]) -> Iterator[str]:
    """Seconds to the first step of a shape."""
    ways = ("plain", "new", "cached")
    rows = [(row["case"], *(f"{row[way]:.2f}" for way in ways)) for row in figures["rows"]]
    titles = ("operation by operation", "new code", "cached code")
    yield from table(("network", *(f"{title}, s" for title in titles)), rows)


def study_cells(figures: Mapping[str, Any]) -> Iterator[str]:
    """CPU-seconds of the training cells of studies, and what agrees."""
    rows = []
    for row in figures["rows"]:
        seconds = [f"{row[way]:.1f}" for way in ("plain", "new", "cached")]
        outcomes = f"{row['equal_outcomes']} of {row['trainings']}"
        rows.append(
            (row["study"], *seconds, outcomes, f"{row['equal_verdicts']} of {row['claims']}")
        )
    titles = ("operation by operation", "new code", "cached code")
    yield from table(
        ("study", *(f"{title}, s" for title in titles), "equal outcomes", "equal verdicts"), rows
    )


def cost(figures: Mapping[str, Any]) -> Iterator[str]:
    """What was measured, and what the cost model of ``bfc plan`` predicts for it."""
    ways = {"training": "operation by operation", "compiled": "generated code"}
    rows = [
        (
            row["network"],
            ways[way],
            f"{row['parameters']:,.0f}",
            str(row["replicas"]),
            str(row["batch"]),
            f"{1e3 * row['seconds']:.2f}",
            f"{1e6 * row['seconds'] / row['replicas']:.0f}",
            f"{row['model_over_measured']:.2f}",
        )
        for way, row in _rows_of_ways(figures, ways)
    ]
    yield from table(
        (
            "network",
            "steps",
            "parameters",
            "R",
            "batch",
            "ms per step",
            "µs per replica-step",
            "model / measured",
        ),
        rows,
    )
    yield ""
    rows = [
        (
            row["baseline"],
            str(row["n"]),
            str(row["d"]),
            str(row.get("test", EARLIER_TEST_ROWS)),
            f"{row['seconds']:.2f}",
            f"{row['model_over_measured']:.2f}",
        )
        for row in figures["curves"]
    ]
    head = ("kernel", "n", "d", "test rows", "seconds of a curve", "model / measured")
    yield from table(head, rows)


def _rows_of_ways(
    figures: Mapping[str, Any], ways: Iterable[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The stored costs of training, each with the way in which the steps were taken."""
    for way in ways:
        for row in figures.get(way, []):
            yield way, row


def stacks(figures: Mapping[str, Any]) -> Iterator[str]:
    """Rates against the size of a stack, and the size that is chosen."""
    sizes = ("1", "2", "4", "8", "16", "32")
    rows = [
        (
            row["network"],
            f"{row['bytes'] / 1e6:.2f}",
            *(f"{row['rates'][size]:,.0f}" for size in sizes),
            str(row["chosen"]),
            f"{row['of_best']:.2f}",
        )
        for row in figures["rows"]
    ]
    yield from table(
        (
            "network",
            "MB a step writes",
            *(f"R = {size}" for size in sizes),
            "chosen",
            "of the best rate",
        ),
        rows,
    )


PARTS = {
    "training": ("Replica-steps per second", steps),
    "first_step": ("Seconds to the first step of a shape", first_steps),
    "study_cells": ("CPU-seconds of the training cells of studies", study_cells),
    "curves": ("Learning curves in float64", curves),
    "stacks": ("Replica-steps per CPU-second against the stack's size", stacks),
    "cost": ("What things cost", cost),
}


def page(folder: Path) -> Iterator[str]:
    """The tables of every machine in ``folder``."""
    for file in sorted(folder.glob("*.json")):
        entries = json.loads(file.read_text())
        machine = next(iter(entries.values()))["machine"]
        yield f"### {machine['hardware']}, {machine['cores']} cores, torch {machine['torch']}"
        yield ""
        yield from aims(entries)
        for benchmark, (title, part) in PARTS.items():
            if benchmark in entries:
                command = f"`python -m benchmarks.{MODULES.get(benchmark, benchmark)}`"
                yield from ("", f"**{title}** ({command}, {entries[benchmark]['date']})", "")
                yield from part(entries[benchmark]["figures"])
        yield ""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="folder of the figures")
    print("\n".join(page(parser.parse_args(arguments).json)))


if __name__ == "__main__":
    main()
