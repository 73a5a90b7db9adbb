"""Fills a template with values, the common style, Plotly and scripts: one file that opens anywhere.

Everything that comes from a results folder is escaped.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
import markupsafe

from analysis.style import COLOURS, DARK

ASSETS = "analysis.web"
STYLES = ("base.css", "board.css", "tables.css", "figures.css", "media.css")
"""Later ones win where both say something of an element."""


def render_template(template: str, scripts: Sequence[str], **values: Any) -> str:
    """The page; ``scripts``: assets of :mod:`analysis.web`, or the text of further ones."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = [read_asset(script) if script.endswith(".js") else script for script in scripts]
    colours = [(name.lstrip("#"), name, dark) for name, dark in zip(COLOURS, DARK, strict=True)]
    return environment.from_string(template).render(
        **values,
        colours=colours,
        style=markupsafe.Markup("".join(map(read_asset, STYLES))),
        plotly=pack_text(_read_plotly()),
        script=markupsafe.Markup("\n".join(texts)),
    )


def read_asset(name: str, package: str = ASSETS) -> str:
    """A file of the ``assets`` of a package."""
    return resources.files(package).joinpath("assets", name).read_text(encoding="utf-8")


def pack_text(text: str) -> str:
    """A text compressed by gzip, in base64: the page's script unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _read_plotly() -> str:
    """Plotly's library for browsers, as the Python package carries it."""
    path = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    return path.read_text(encoding="utf-8")
