"""What the build of the site adds to the written pages: generated pages, and links to code.

MkDocs calls these functions (``hooks`` in ``mkdocs.yml``). Every generated page is made from what
it describes, so it cannot fall behind: the start page from the README, the keys from the classes,
the commands from their help, the modules from their docstrings, and the figures from a small store
that the build trains.
"""

from __future__ import annotations

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.generate import api, commands, gallery, keys, studies
from docs.generate.places import ROOT, link_of_source

FOLDERS = "bfc|analysis|conf|sweeps|tests|benchmarks"
LINK = re.compile(rf"\[([^\]]+)\]\((?:\.\./)+((?:{FOLDERS})(?:/[^)#\s]*)?)\)")
"""A link from a page to a file of the program: its text and the path from the root."""


ROOT_FILES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""File in the root of the project → where the site has it, besides the README."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and pictures."""
    pages = {
        "index.md": f"---\nhide: [navigation]\n---\n{read_root_page('README.md')}",
        **{place: read_root_page(name) for name, place in ROOT_FILES.items()},
        "CITATION.cff": (ROOT / "CITATION.cff").read_text(encoding="utf-8"),
        "reference/keys.md": keys.write_page(),
        "reference/commands.md": commands.write_page(),
        "reference/studies.md": studies.write_page(),
        **api.write_pages(),
        **gallery.write_pages(),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def read_root_page(name: str) -> str:
    """A page of the root of the project, with links as they are from the folder of the pages."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
    for file, place in ROOT_FILES.items():
        text = text.replace(f"]({file})", f"]({place})")
    return re.sub(rf"\]\((?=(?:{FOLDERS})[/)])", "](../", text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the program lead to the page that shows them, where there is one."""
    to_pages = "../" * page.file.src_uri.count("/")

    def replace(match: re.Match[str]) -> str:
        text, path = match.groups()
        target = link_of_source(path.rstrip("/"))
        return f"[{text}]({to_pages}{target})" if target else text

    return LINK.sub(replace, markdown)
