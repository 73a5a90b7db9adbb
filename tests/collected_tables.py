"""A results folder as tables, without a store."""

from __future__ import annotations

import pandas as pd
from falling_risks import EPS

from bfc.store.reading import Collected


def collected(*cells):
    """A results folder as tables from cells, each a mapping with d, rows and whatever differs from
    the defaults."""
    heads, tables = [], []
    for number, cell in enumerate(cells):
        head = {
            "study": "s",
            "cell_id": f"c{number}",
            "method": "m",
            "target": "t",
            "L": 3,
            "degree": 4,
            "eps": (EPS,),
            "state": "done",
            "optimizer.lr": 0.1,
        } | {key: value for key, value in cell.items() if key != "rows"}
        heads.append(head)
        tables.append(
            cell["rows"].assign(
                cell_id=head["cell_id"], d=head["d"], validation="inside", fresh=False
            )
        )
    unique = {head["cell_id"]: table for head, table in zip(heads, tables, strict=True)}
    return Collected(pd.DataFrame(heads), pd.concat(unique.values(), ignore_index=True))
