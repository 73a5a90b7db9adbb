"""Adds a row or a column to a user's table: one file, written once it is known to work.

``bfc table --add target=parity target.degree=3`` writes ``rows/parity_degree-3.yaml`` below the
user's folder; ``--add method=…`` writes ``columns/…``. The file can be edited afterwards. The same
command again adds nothing and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bfc.application.table.entries import (
    TRAINED_GROUPS,
    check_entries,
    find_group,
    plan_entries,
)
from bfc.application.table.layout import Column, Row, TableLayout
from bfc.errors import UserError
from bfc.experiment.components import GROUPS, class_paths
from bfc.store.atomic import replace_file

ROW_GROUPS = ("target", "task", "representation")
COLUMN_GROUPS = ("method", "baseline", *TRAINED_GROUPS)
"""Groups of keys that belong to a row or a column; others are about this run alone."""
LIKE = "stair4"
"""The row whose sizes a new target is measured at."""
METHOD_GROUPS = ("learner", "baseline")
TRAINED = ("schedule=joint", "optimizer=adam", "optimizer.lr=0.003")
"""Of a new learner, where nothing else is said."""


@dataclass(frozen=True)
class Addition:
    """A row or a column that is new to a table, and the file that will hold it."""

    layout: TableLayout
    """The table with it."""
    path: Path
    content: Mapping[str, object]

    def write(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(
            dict(self.content), sort_keys=False, default_flow_style=None, width=100
        )
        replace_file(self.path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def split_additions(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is said of a new row or column, and the overrides of the run (``compute.device=…``)."""
    added: list[str] = []
    overrides: list[str] = []
    for word in words:
        is_added = not added or find_group(word) in (*ROW_GROUPS, *COLUMN_GROUPS)
        (added if is_added else overrides).append(word)
    return added, overrides


def add_to_table(
    layout: TableLayout, size: str, words: Sequence[str], folder: Path
) -> Addition | None:
    """The table of ``folder`` with a row or a column more; None where it has the same one already.

    ``words``: ``target=<option>`` or ``method=<option of learner or baseline>``, then further
    overrides. Raises :class:`UserError` for anything that cannot be measured, and where another row
    or column has the name.
    """
    kind, _, option = words[0].partition("=") if words else ("", "", "")
    if kind == "target" and option:
        return _add_row(layout, size, words, folder)
    if kind in ("method", *METHOD_GROUPS) and option:
        return _add_column(layout, size, _name_group(kind, option), words[1:], folder)
    raise UserError(
        f"--add {' '.join(words)}: must begin with target=<option> or method=<option of learner "
        "or baseline>, for instance --add target=parity"
    )


def _add_row(
    layout: TableLayout, size: str, target: Sequence[str], folder: Path
) -> Addition | None:
    like = layout.rows[LIKE]
    name = _make_name(target)
    path = folder / "rows" / f"{name}.yaml"
    title = " ".join(text.partition("=")[2] if i == 0 else text for i, text in enumerate(target))
    row = Row(
        title=title.replace("target.", ""),
        target=tuple(target),
        values=like.values,
        n=like.n,
        reference=like.reference,
        name=name,
    )
    if name in layout.rows:
        _refuse_another(path, row.target, layout.rows[name].target)
        return None
    _, columns = layout.select(size)
    check_entries(plan_entries(layout, size, [row], columns, folder / "results"))
    content = {
        "title": row.title,
        "target": list(row.target),
        "values": {key: list(values) for key, values in row.values.items()},
        "n": {key: list(ends) for key, ends in row.n.items()},
        "reference": row.reference,
    }
    return Addition(layout.add_row(row), path, content)


def _add_column(
    layout: TableLayout, size: str, choice: str, settings: Sequence[str], folder: Path
) -> Addition | None:
    group, _, option = choice.partition("=")
    if group == "baseline":
        method = ["learner=none", choice, *settings]
    else:
        chosen = {text.partition("=")[0] for text in settings}
        defaults = [text for text in TRAINED if text.partition("=")[0] not in chosen]
        method = [choice, *defaults, *settings]
    name = _make_name([choice, *settings])
    path = folder / "columns" / f"{name}.yaml"
    title = " ".join([option.replace("_", " "), *settings])
    column = Column(title=title, method=tuple(method), name=name)
    if name in layout.columns:
        _refuse_another(path, column.method, layout.columns[name].method)
        return None
    rows, _ = layout.select(size)
    check_entries(plan_entries(layout, size, rows, [column], folder / "results"))
    content = {"title": title, "method": method}
    return Addition(layout.add_column(column), path, content)


def _refuse_another(path: Path, new: Sequence[str], old: Sequence[str]) -> None:
    """Refuse a name that stands for something else."""
    if tuple(new) != tuple(old):
        raise UserError(
            f"--add: the table has another {path.parent.name[:-1]} {path.stem} already "
            f"({' '.join(old)}); give the new one a file {path.parent.name}/<name>.yaml"
        )


def _name_group(kind: str, option: str) -> str:
    """``learner=<option>`` or ``baseline=<option>``."""
    if kind in METHOD_GROUPS:
        return f"{kind}={option}"
    options = {group: sorted(class_paths(group)) for group in METHOD_GROUPS}
    for group, names in options.items():
        if option in names:
            return f"{group}={option}"
    raise UserError(
        f"--add method={option}: no such method; allowed: "
        f"{', '.join(sorted({*options['learner'], *options['baseline']}))}"
    )


def _make_name(overrides: Sequence[str]) -> str:
    """The name of a file: the option, and what else is set."""
    parts = []
    for text in overrides:
        key, _, value = text.partition("=")
        parts.append(value if key in GROUPS else f"{key.rpartition('.')[2]}-{value}")
    return re.sub(r"[^\w.-]+", "-", "_".join(parts)).strip("-_.")
