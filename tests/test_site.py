"""The site of the documentation: it builds strictly, needs nothing from elsewhere, and is readable.

Strictly means that every link between pages and every reference in a docstring leads somewhere. The
site is read from its files in a browser, as somebody without a network would.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT, environment

import bfc
from analysis.registry import list_parts
from bfc.experiment.components import GROUPS

pytest.importorskip("mkdocs", reason="mkdocs is not installed (extra: docs)")
pytestmark = pytest.mark.xdist_group("site")
pytest_plugins = ("browser",)
PAGES = (
    "index.html",
    "concepts.html",
    "symbols.html",
    "tutorials/first_sweep.html",
    "reference/gallery.html",
    "reference/keys.html",
    "reference/commands.html",
    "reference/api/bfc.stats.exponent_fit.html",
)
"""One page of every kind, that are looked at in a browser."""
FITS = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site but for the source code of what is documented, which takes long to colour."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=environment(NO_MKDOCS_2_WARNING="1", BFC_DOCS_SOURCE="false"),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def read(site: Path, page: str) -> str:
    return (site / page).read_text()


def test_nothing_is_loaded_from_elsewhere(site):
    loads = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(?:https?:)?//|url\(\"?https?:")
    stylesheet = re.compile(r"<link[^>]*rel=\"(?:stylesheet|preconnect|icon)\"[^>]*href=\"https?:")
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert not loads.search(text) and not stylesheet.search(text), page


def test_every_option_and_its_keys_stand_on_the_page_of_keys(site):
    text = read(site, "reference/keys.html")
    for group in GROUPS:
        for path in (ROOT / "conf" / group).glob("*.yaml"):
            assert f'id="{group}-{path.stem}"' in text
            node = yaml.safe_load(path.read_text()) or {}
            for key in node.keys() - {"_target_"}:
                assert f"<code>{group}.{key}</code>" in text, f"{path}: {key}"
    assert "an integer from 1 to 1048576" in text, "what is allowed comes from the classes"
    rows = [re.findall(r"<td>(.*?)</td>", row, re.S) for row in text.split("<tr>")]
    assert not [key for key, *_, meaning in (row for row in rows if len(row) == 4) if not meaning]


def test_every_command_stands_on_the_page_of_commands(site):
    text = read(site, "reference/commands.html")
    for path in (ROOT / "bfc" / "commands").glob("[a-z]*.py"):
        assert f'id="bfc-{path.stem.replace("_", "-")}"' in text


def test_placeholders_in_angles_and_formulas_are_shown_and_are_no_markup(site):
    assert "method=&lt;option&gt;" in read(site, "reference/commands.html")
    assert "cuda:&lt;i&gt;" in read(site, "reference/keys.html")
    text = read(site, "reference/api/bfc.trackers.upload_log.html")
    assert "&lt;results&gt;/.uploads" in text
    text = " ".join(read(site, "reference/studies.html").split())
    assert "||W||_{2,4}^4 over 4 (||M||_*^2 + (tr M)^2)" in text


def test_every_module_has_a_page_and_references_in_docstrings_are_links(site):
    for top in ("bfc", "analysis"):
        for path in (ROOT / top).rglob("[a-z]*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            assert (site / "reference" / "api" / f"{name}.html").is_file(), name
    text = read(site, "reference/api/bfc.targets.parity.html")
    assert 'href="bfc.errors.html#bfc.errors.UserError"' in text
    for page in (site / "reference" / "api").glob("*.html"):
        prose = re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", page.read_text(), flags=re.S)
        assert not re.search(r":(?:class|func|meth|mod|attr|data|exc):", prose), page


def test_every_figure_and_the_lines_that_make_it_are_in_the_gallery(site):
    text = read(site, "reference/gallery.html")
    for name in list_parts("plots"):
        assert f'id="{name}"' in text, name
        picture = re.search(rf'src="([^"]*gallery/{name}\.svg)"', text)
        assert picture, name
        svg = (site / "reference" / picture.group(1)).read_text()
        assert "<svg" in svg and len(svg) > 5000, name
    assert "python -m bfc.train" in text and "load_results" in text


@pytest.mark.parametrize("width", [1400, 390])
def test_pages_fit_wide_and_narrow_windows_and_load_without_errors(site, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: note_error(message, problems))
    page.on("requestfailed", lambda request: note_failure(request, problems))
    for name in PAGES:
        page.goto((site / name).as_uri())
        page.wait_for_load_state("load")
        page.wait_for_function(FITS)  # tables are wrapped after the page has loaded
        assert not problems, (name, problems)


def note_error(message: Any, problems: list[str]) -> None:
    if message.type == "error":
        problems.append(message.text)


def note_failure(request: Any, problems: list[str]) -> None:
    """A request that failed, unless the browser left the page before it ended."""
    if request.failure != "net::ERR_ABORTED":
        problems.append(f"{request.url}: {request.failure}")


def test_the_search_works_in_files(site, browser):
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto((site / "index.html").as_uri())
    page.locator(".md-search__input").click()
    page.keyboard.type("polynomial kernel")
    page.locator(".md-search-result__item").first.wait_for()
    assert page.locator(".md-search-result__item").count() > 1


def test_the_citation_file_is_valid_and_names_the_papers():
    """By the schema of the Citation File Format 1.2.0 (CC BY 4.0)."""
    schema = json.loads((ROOT / "tests" / "data" / "citation_schema.json").read_text())
    fastjsonschema = pytest.importorskip("fastjsonschema")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    validate = fastjsonschema.compile(schema)
    validate(citation)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate({**citation, "authors": []})
    identifiers = [entry["identifiers"][0]["value"] for entry in citation["references"]]
    assert identifiers == ["arXiv:2001.04413", "arXiv:2304.01063", "arXiv:2006.13436"]
    assert citation["version"] == bfc.__version__
