"""From a results folder to every table at once: what the page, a notebook and a claim's predicate
all read. Estimates n* of every cell and the exponent of every line; nothing is written and nothing
drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.collect import UNNAMED, Collected, collect
from analysis.evidence import Evidence
from analysis.nstar_tables import depth_table, exponents, line_fits, local_table, nstar_table
from analysis.style import looks
from bfc.errors import UserError, nearest


@dataclass(frozen=True)
class Gathered:
    """``found``: what is stored; ``nstar``, ``exponents``, ``local``, ``depth``: the tables of
    :mod:`analysis.nstar_tables` over all studies; ``keys``: the configuration keys that vary;
    ``studies``: name → its :class:`analysis.evidence.Evidence`, unnamed cells last."""

    found: Collected
    nstar: pd.DataFrame
    exponents: pd.DataFrame
    local: pd.DataFrame
    depth: pd.DataFrame
    keys: list[str]
    studies: Mapping[str, Evidence]


def gather(results: str | Path, study: str | None = None) -> Gathered:
    """Read and estimate everything below ``results``, or of one ``study``. Raises
    :class:`UserError` where there is nothing."""
    found = collect(results)
    if found.cells.empty:
        skipped = (
            f" ({len(found.problems)} folders skipped, the first: {found.problems[0]})"
            if found.problems
            else ""
        )
        raise UserError(f"{results}: holds no measured cell{skipped}")
    names = set(found.cells["study"])
    if study is not None:
        if study not in names:
            raise UserError(f"study {study}: is not in {results}; {nearest(study, names)}")
        found = found.study(study)
    nstar, keys = nstar_table(found)
    fits = line_fits(found, nstar)
    tables = {
        "nstar": nstar,
        "exponents": exponents(nstar, keys, fits),
        "local": local_table(nstar, fits),
        "depth": depth_table(nstar),
    }
    look, studies = looks(nstar), {}
    for name in sorted(set(found.cells["study"]), key=lambda name: (name == UNNAMED, name)):
        part, own = (
            found.study(name),
            {key: table[table["study"] == name] for key, table in tables.items()},
        )
        lines = dict(zip(own["nstar"]["cell_id"], own["nstar"]["line"], strict=True))
        trainings, traces = (
            table.assign(line=table["cell_id"].map(lines)) if "cell_id" in table else table
            for table in (part.trainings, part.traces)
        )
        studies[name] = Evidence(**own, trainings=trainings, traces=traces, looks=look, name=name)
    return Gathered(found, **tables, keys=keys, studies=studies)
