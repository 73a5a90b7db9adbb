"""The form of the code: short modules and functions, plain comprehensions, names that say what
they hold.

What ruff does not check of it. A library's plain idiom is kept by a rule, not by memory.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = [
    path.relative_to(ROOT)
    for package in ("bfc", "analysis", "benchmarks")
    for path in sorted((ROOT / package).rglob("*.py"))
]
MAX_MODULE_LINES = 300
MAX_BODY_LINES = 50
VAGUE_NAMES = frozenset(
    "own found every each mine told kept said together joined company beside asked wanted".split()
)
"""Names that do not say what they hold."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in FILES}


def nodes(trees: dict[Path, ast.Module], kind) -> Iterator[tuple[str, ast.AST]]:
    """Every node of a kind, with its place."""
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{path}:{node.lineno}", node


def test_a_module_holds_one_idea_and_says_which(trees) -> None:
    assert len(trees) > 300
    long_modules = []
    for path, tree in trees.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not text or ast.get_docstring(tree), f"{path} does not say why it exists"
        if len(text.splitlines()) > MAX_MODULE_LINES:
            long_modules.append(str(path))
    assert not long_modules


def test_a_function_fits_a_screen(trees) -> None:
    long_functions = []
    for place, function in nodes(trees, Function):
        statements = function.body[1:] if ast.get_docstring(function) else function.body
        if statements and statements[-1].end_lineno - statements[0].lineno >= MAX_BODY_LINES:
            long_functions.append(f"{place} {function.name}")
    assert not long_functions


def test_a_comprehension_has_one_for_and_at_most_one_if(trees) -> None:
    nested = []
    for place, node in nodes(trees, Comprehension):
        if len(node.generators) > 1 or len(node.generators[0].ifs) > 1:
            nested.append(place)
        if any(isinstance(part, ast.NamedExpr) for part in ast.walk(node)):
            nested.append(place)
    assert not nested


def test_a_name_says_what_it_holds(trees) -> None:
    vague = []
    for place, function in nodes(trees, Function):
        names = {function.name}
        for part in ast.walk(function):
            if isinstance(part, ast.arg):
                names.add(part.arg)
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                names.add(part.id)
        vague += [f"{place} {name}" for name in names & VAGUE_NAMES]
    assert not vague
