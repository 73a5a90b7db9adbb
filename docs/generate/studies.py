"""The page of the studies: what each one asks, in which sizes it can be run, and what it claims."""

from __future__ import annotations

from bfc.paths import SWEEPS
from bfc.studies import claims_of, study_node
from docs.generate.plain_text import escape_markup

INTRODUCTION = """# Studies

`python -m bfc.train -m +sweeps=<study> study.size=<size>` runs a study, `bfc plan` with the same
arguments predicts its cost, and `bfc reproduce` runs what decides most claims of three papers
within a budget.

Behind a claim stands where its paper says it: *found* in public abstracts, *recalled* from memory
and not checked against the text, *second-hand* as others report it, or *derived* here.

"""


def write_page() -> str:
    """The page of every study of ``sweeps/``."""
    parts = [INTRODUCTION]
    for path in sorted(SWEEPS.glob("*.yaml")):
        node = study_node(path.stem)
        sizes = ", ".join(f"`{size}`" for size in node.get("sizes", {}))
        parts.append(f"## {path.stem}\n\n*{node.get('question', '').strip()}*\n\nSizes: {sizes}.\n")
        parts += [write_claim(claim) for claim in claims_of(path.stem)]
        parts.append("")
    return "\n".join(parts) + "\n"


def write_claim(claim: dict[str, str]) -> str:
    """A claim as an item of a list."""
    statement = " ".join(claim["statement"].split())
    source = f"{claim['paper'].partition(',')[0]}; {claim['place']}"
    return f"- {escape_markup(statement)} ({escape_markup(source)})"
