"""The suite with the oldest and with the newest versions of every dependency, and what broke.

``make test-oldest`` and ``make test-newest`` run it. uv resolves the bounds of ``pyproject.toml``
into a constraints file (``build/constraints-oldest.txt``), an environment of its own is installed
from it (``.venv-oldest``), and the suite runs there. Where tests fail, each direct dependency in
turn is exchanged for its version at the other end of its range, and those are named with which the
failed tests pass.

    python tests/dependency_bounds.py oldest [--override torch==2.13.0+cpu] [arguments of pytest]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOLUTION = {"oldest": "lowest-direct", "newest": "highest"}
"""End of the ranges → how uv calls it."""
OTHER_END = {"oldest": "newest", "newest": "oldest"}
EXTRAS = ("test", "docs")
IGNORED = ("-W", "ignore::DeprecationWarning")
"""Old packages warn of one another's new versions, which is not for this suite to judge."""


def main() -> int:
    """Run the suite at one end of all ranges; returns pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("end", choices=RESOLUTION)
    parser.add_argument("--override", action="append", default=[], help="name==version instead")
    options, pytest_arguments = parser.parse_known_args()
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    overrides = build / "overrides.txt"
    overrides.write_text("\n".join(options.override))
    versions = {end: resolve(end, overrides) for end in RESOLUTION}
    environment = Environment(ROOT / f".venv-{options.end}", options.end)
    environment.install(constraints_file(options.end))
    status = environment.run_suite(pytest_arguments)
    if status == 1:
        broken = find_culprits(
            direct_dependencies(), versions, options.end, environment.passes_with
        )
        print("\n".join(broken) or "no single dependency makes the failed tests pass")
    return status


def constraints_file(end: str) -> Path:
    return ROOT / "build" / f"constraints-{end}.txt"


def resolve(end: str, overrides: Path) -> dict[str, str]:
    """Write the constraints file of one end; name → version of everything in it."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    out = constraints_file(end)
    run_uv(
        *("pip", "compile", "-q", "--no-header", "--no-annotate", "--resolution", RESOLUTION[end]),
        *(*extras, "--override", str(overrides), "-o", str(out), str(ROOT / "pyproject.toml")),
    )
    return dict(re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", out.read_text(), flags=re.M))


def run_uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


def direct_dependencies() -> list[str]:
    """The names that ``pyproject.toml`` gives bounds for, in the spelling of packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for extra in EXTRAS for text in extras[extra])]
    return list(dict.fromkeys(re.match(r"[\w.-]+", text).group().lower() for text in texts))


class Environment:
    """An environment of its own, in which the suite runs."""

    def __init__(self, folder: Path, end: str) -> None:
        self.python = folder / "bin" / "python"
        self.folder = folder
        self.cache = ROOT / "build" / f"pytest-{end}"
        self.constraints = constraints_file(end)

    def install(self, constraints: Path) -> None:
        """Make it hold exactly what a constraints file says, and this program."""
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)
        run_uv("pip", "sync", "-q", "--python", str(self.python), str(constraints))
        self._add("--no-deps", "-e", str(ROOT))

    def run_suite(self, arguments: Sequence[str]) -> int:
        """Run pytest; returns its exit status, 1 where tests failed."""
        command = [str(self.python), "-m", "pytest", "-o", f"cache_dir={self.cache}", *IGNORED]
        command += arguments
        return subprocess.run(command, cwd=ROOT).returncode

    def passes_with(self, name: str, version: str) -> bool:
        """Whether the tests that failed pass with another version of one package."""
        self._add(f"{name}=={version}")
        try:
            return self.run_suite(["--last-failed", "-n", "0", "-q", "--tb=no"]) == 0
        finally:
            self.install(self.constraints)

    def _add(self, *words: str) -> None:
        run_uv("pip", "install", "-q", "--python", str(self.python), *words)


def find_culprits(
    names: Sequence[str],
    versions: Mapping[str, Mapping[str, str]],
    end: str,
    passes_with: Callable[[str, str], bool],
) -> Iterator[str]:
    """A sentence for each dependency whose other end makes the failed tests pass."""
    for name in names:
        here, there = versions[end].get(name), versions[OTHER_END[end]].get(name)
        if here and there and here != there and passes_with(name, there):
            yield f"{name} {here} breaks the suite: the failed tests pass with {there}"


if __name__ == "__main__":
    sys.exit(main())
