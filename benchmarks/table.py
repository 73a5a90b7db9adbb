"""The committed figures as Markdown, so that a page in the docs is printed and never typed.

Per machine: the aims of every benchmark, what a step and a curve cost there, and the roofline
sentences.

    python -m benchmarks.table [--json FOLDER]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS
from benchmarks.training import roofline

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


def aims(entries: Mapping[str, Any]) -> Iterator[str]:
    """Every aim of every benchmark."""
    rows = []
    for benchmark, entry in sorted(entries.items()):
        for aim in entry["aims"]:
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


def steps(figures: Mapping[str, Any]) -> Iterator[str]:
    """Replica-steps per second of every implementation."""
    sides = ("stack", "plain", "loop", "vmap", "jax", "eager", "blocks", "products")
    cases = {name: case for name, case in figures.items() if isinstance(case, Mapping)}
    lines = []
    for name, case in cases.items():
        for row in case["rows"]:
            rates = [f"{row.get(side, float('nan')):,.0f}" for side in sides]
            lines.append((name, str(row["replicas"]), *rates, f"{row['of_wall']:.0%}"))
    titles = (
        *("ours", "operation by operation", "plain loop", "vmap", "JAX"),
        *("without CUDA graph", "blocks", "products alone"),
    )
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
    rows = [
        (
            row["network"],
            f"{row['parameters']:,.0f}",
            str(row["replicas"]),
            str(row["batch"]),
            f"{1e3 * row['seconds']:.2f}",
            f"{1e6 * row['seconds'] / row['replicas']:.0f}",
            f"{row['model_over_measured']:.2f}",
        )
        for row in figures["training"]
    ]
    yield from table(
        (
            "network",
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
                module = MODULES.get(benchmark, benchmark)
                yield from ("", f"**{title}** (`python -m benchmarks.{module}`)", "")
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
