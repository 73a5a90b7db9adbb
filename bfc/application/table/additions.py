"""Adds a row or a column to a user's table: one file, written once it is known to work.

``bfc table --add target=parity target.degree=3`` writes ``rows/parity_degree-3.yaml`` below the
user's folder; ``--add method=…`` writes ``columns/…``. The file can be edited afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from bfc.application.table.entries import plan_entries
from bfc.application.table.layout import Column, Layout, Row
from bfc.errors import UserError
from bfc.experiment.components import GROUPS, class_paths
from bfc.store.atomic import replace_file

LIKE = "stair4"
"""The row whose sizes a new target is measured at."""
METHOD_GROUPS = ("learner", "baseline")
TRAINED = ("schedule=joint", "optimizer=adam", "optimizer.lr=0.003")
"""Of a new learner, where nothing else is said."""


def add_to_table(layout: Layout, size: str, words: Sequence[str], folder: Path) -> Layout:
    """The table with a row or a column more, whose file is written below ``folder``.

    ``words``: ``target=<option>`` or ``method=<option of learner or baseline>``, then further
    overrides. Raises :class:`UserError`, and writes nothing, for anything that cannot be measured.
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


def _add_row(layout: Layout, size: str, target: Sequence[str], folder: Path) -> Layout:
    like = layout.rows[LIKE]
    name = _make_name(target)
    title = " ".join(text.partition("=")[2] if i == 0 else text for i, text in enumerate(target))
    row = Row(
        title=title.replace("target.", ""),
        target=tuple(target),
        values=like.values,
        n=like.n,
        reference=like.reference,
        name=name,
    )
    _refuse_known("row", name, layout.rows)
    _, columns = layout.select(size)
    list(plan_entries(layout, size, [row], columns, folder / "results"))
    content = {
        "title": row.title,
        "target": list(row.target),
        "values": {key: list(values) for key, values in row.values.items()},
        "n": {key: list(ends) for key, ends in row.n.items()},
        "reference": row.reference,
    }
    _write(folder / "rows" / f"{name}.yaml", content)
    return layout.add_row(row)


def _add_column(
    layout: Layout, size: str, choice: str, further: Sequence[str], folder: Path
) -> Layout:
    group, _, option = choice.partition("=")
    settings = list(further)
    if group == "baseline":
        method = ["learner=none", choice, *settings]
    else:
        chosen = {text.partition("=")[0] for text in settings}
        defaults = [text for text in TRAINED if text.partition("=")[0] not in chosen]
        method = [choice, *defaults, *settings]
    name = _make_name([choice, *settings])
    title = " ".join([option.replace("_", " "), *settings])
    column = Column(title=title, method=tuple(method), name=name)
    _refuse_known("column", name, layout.columns)
    rows, _ = layout.select(size)
    list(plan_entries(layout, size, rows, [column], folder / "results"))
    _write(folder / "columns" / f"{name}.yaml", {"title": title, "method": method})
    return layout.add_column(column)


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


def _refuse_known(kind: str, name: str, known: dict[str, Row] | dict[str, Column]) -> None:
    if name in known:
        raise UserError(f"--add: the table has a {kind} {name} already; edit its file instead")


def _write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
