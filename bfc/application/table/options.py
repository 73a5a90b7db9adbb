"""What ``bfc table`` was asked for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bfc.paths import local_path

FOLDER = "table"
"""Where tables are written unless another folder is named."""


@dataclass(frozen=True)
class TableOptions:
    """The options of the command; see its help."""

    size: str
    budget: str | None = None
    """None: that of the size."""
    folder: str = FOLDER
    rows: Sequence[str] = ()
    """What is run; none: all of the size."""
    columns: Sequence[str] = ()
    add: Sequence[str] | None = None
    """What is added to the table; None: nothing."""
    compare: str | None = None
    cores: int | None = None
    plan: bool = False
    launcher: Sequence[str] = ()
    """Overrides of a launcher, such as ``hydra/launcher=slurm``; none: this machine, now."""
    overrides: Sequence[str] = ()

    def find_folder(self) -> Path:
        """The folder with results, rows and columns, which all sizes share.

        Raises :class:`UserError` where it cannot be one.
        """
        return local_path(self.folder, "--folder").resolve()

    def find_output(self) -> Path:
        """Where the page and the files of this size are."""
        return self.find_folder() / self.size

    def spell_command(self) -> str:
        """The command that measures the whole table in one go."""
        words = ["bfc", "table", "--size", self.size]
        if self.folder != FOLDER:
            words += ["--folder", self.folder]
        return shlex.join([*words, *self.overrides])
