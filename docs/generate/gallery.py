"""The gallery: every kind of figure, drawn from small runs by the lines that stand beside it.

``gallery.yaml`` lists the runs. The build trains them once, into ``build/gallery``, and trains
again only what is missing there; the lines of Python on the page are the ones that it executes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from analysis.registry import list_options, list_parts, load_constant, load_part
from bfc.store.cell_folder import UNNAMED
from bfc.studies import study_node
from bfc.train import main
from docs.generate.places import ROOT, api_page

STORE = ROOT / "build" / "gallery"
FOLDER = "reference/gallery"
INTRODUCTION = """# Gallery of figures

Every kind of figure, with the command that trains what it shows and the lines that draw it. A
report (`bfc report results`) draws all that its tables can fill, on the page and for papers; these
lines draw one. The runs are small: they show what a figure looks like and decide nothing.
"""
LINES = """\
from analysis.load import load_results
from analysis.paper import draw
from analysis.plots.{name} import {name}

evidence = load_results("results").studies["{study}"]
chart = next(iter({name}({arguments})))
draw(chart).savefig("{name}.svg")
"""


@dataclass(frozen=True)
class Run:
    """One small run of a study, or of a sweep without one."""

    study: str | None
    overrides: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """What trains it."""
        study = [] if self.study is None else [f"+sweeps={self.study}"]
        words = [*study, *self.overrides, "hydra/launcher=basic"]
        return ["python", "-m", "bfc.train", "-m", *words]

    @property
    def folder(self) -> Path:
        """Where it is trained: another folder for another command."""
        digest = hashlib.sha256(shlex.join(self.command).encode()).hexdigest()
        return STORE / f"{self.study or 'sweep'}-{digest[:8]}"


@dataclass(frozen=True)
class Figure:
    """One kind of figure, the run that it is drawn from and its options."""

    name: str
    run: Run
    options: Mapping[str, Any]

    @property
    def lines(self) -> str:
        """The lines of Python that draw it."""
        words = ["evidence", *(f"{name}={value!r}" for name, value in self.options.items())]
        arguments = ", ".join(words)
        if len(arguments) > 60:
            arguments = "".join(f"\n    {word}," for word in words) + "\n"
        study = self.run.study or UNNAMED
        return LINES.format(name=self.name, study=study, arguments=arguments)


def write_pages() -> dict[str, str | bytes]:
    """Path → content of the page and of the pictures."""
    figures = {figure.name: figure for figure in read_figures()}
    missing = set(list_parts("plots")) - set(figures)
    if missing:
        raise ValueError(f"docs/generate/gallery.yaml draws no {', '.join(sorted(missing))}")
    pages: dict[str, str | bytes] = {}
    sections = [INTRODUCTION]
    for name in sorted(figures, key=place_on_page):
        figure = figures[name]
        train(figure.run)
        pages[f"{FOLDER}/{name}.svg"] = draw(figure)
        sections.append(write_section(figure))
    pages[f"{FOLDER}.md"] = "\n".join(sections)
    return pages


def read_figures() -> Iterator[Figure]:
    """The figures of ``gallery.yaml``, in its order."""
    entries = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    for entry in entries:
        run = Run(entry["study"], tuple(entry["overrides"]))
        asked = study_node(run.study).get("figures", []) if run.study else []
        requests = {request["figure"]: request for request in asked}
        for figure in entry["figures"]:
            request = requests.get(figure, {}) if isinstance(figure, str) else figure
            name = figure if isinstance(figure, str) else figure["figure"]
            yield Figure(name, run, {k: v for k, v in request.items() if k != "figure"})


def place_on_page(name: str) -> tuple[int, str]:
    """The order of figures in a report."""
    order: int = load_constant("plots", name, "ORDER", 50)
    return order, name


def train(run: Run) -> None:
    """Train a run, where its folder does not say that it was.

    In this process, since starting one costs more than most of these runs.
    """
    done = run.folder / "done"
    if done.exists():
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    arguments = ["bfc-train", *run.command[3:]]
    with (
        contextlib.chdir(run.folder),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch.object(sys, "argv", arguments),
    ):
        main()
    done.touch()


def draw(figure: Figure) -> bytes:
    """Execute the lines of a figure in the folder of its run; the picture that they make."""
    with contextlib.chdir(figure.run.folder):
        exec(compile(figure.lines, f"gallery of {figure.name}", "exec"), {"__name__": "gallery"})
        return Path(f"{figure.name}.svg").read_bytes()


def write_section(figure: Figure) -> str:
    """A figure with what it shows and what makes it."""
    name = figure.name
    function = load_part("plots", name, "gallery")
    text = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
    options = ", ".join(f"`{option}`" for option in list_options(function))
    words = f" Options: {options}." if options else ""
    link = f"[Module](../{api_page(f'analysis.plots.{name}')})"
    return (
        f"## {name} {{ #{name} }}\n\n{text}{words} {link}\n\n"
        f"![{name}](gallery/{name}.svg)\n\n"
        f"```\n{wrap(figure.run.command)}\n```\n\n```python\n{figure.lines}```\n"
    )


def wrap(command: Sequence[str]) -> str:
    """A command on lines of at most 90 columns, as a shell reads it."""
    lines = [""]
    for word in map(shlex.quote, command):
        if len(lines[-1]) + len(word) > 86:
            lines.append("   ")
        lines[-1] += f" {word}"
    return " \\\n".join(lines).strip()
