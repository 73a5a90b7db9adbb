"""``bfc floor``: the path norm that two-layer ReLU networks need on a radial target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bfc.bounds.two_layer import Floor, Problem

PANEL = "Theory"
COLUMNS = ("d", "eps", "lower", "upper", "gap")


def main(
    d: Annotated[
        str, typer.Option(help="Dimensions, separated by commas; inf for the limit.")
    ] = "2,16,64,inf",
    eps: Annotated[
        str, typer.Option(help="Relative errors E(f - f*)^2 / Var f*, separated by commas.")
    ] = "0.1,0.01,0.001,0.0001",
    law: Annotated[
        str, typer.Option(help="Law of the radius: bessel, limit or uniform.")
    ] = "limit",
    profile: Annotated[str, typer.Option(help="Profile: hinge, cosine or ball.")] = "hinge",
    frequency: Annotated[float, typer.Option(help="Frequency of the cosine.")] = 1.0,
    edge_ratio: Annotated[
        float,
        typer.Option(help="K of bessel and limit: the radius 1 over the inner edge of the law."),
    ] = 2.0,
    inner: Annotated[
        float, typer.Option(help="Smallest radius of the uniform law (a shell where > 0).")
    ] = 0.0,
    outer: Annotated[float, typer.Option(help="Largest radius.")] = 5.0,
    radii: Annotated[int, typer.Option(help="Quantiles of the radius.")] = 400,
    checks: Annotated[int, typer.Option(help="Offsets on which a bound is certified.")] = 3000,
    out: Annotated[Path | None, typer.Option(help="Also write the table to this CSV file.")] = None,
) -> None:
    """Certify lower bounds on the path norm of two-layer ReLU networks of any width.

    The path norm is sum |a_j| |w_j| / sqrt(2 pi d). One line per dimension and error: no two-layer
    network with a norm below LOWER has this error, one with UPPER has it.
    """
    from bfc.errors import UserError

    levels = _parse_levels(eps)
    fields = {
        "profile": profile,
        "frequency": frequency,
        "edge_ratio": edge_ratio,
        "inner": inner,
        "outer": outer,
    }
    problems = [_build_problem(text, law, fields, radii, checks) for text in d.split(",")]
    if out is not None and not out.parent.is_dir():
        raise UserError(f"--out={out}: must be in a folder that exists")
    floors = _print_floors(problems, levels)
    if out is not None:
        _write_csv(out, floors)


def _parse_levels(text: str) -> list[float]:
    from bfc.errors import require

    levels = [_parse_number("eps", part) for part in text.split(",")]
    for level in levels:
        require(0 < level < 1, "--eps", level, "numbers between 0 and 1")
    return levels


def _build_problem(d: str, law: str, fields: dict[str, Any], radii: int, checks: int) -> Problem:
    """The problem at one dimension; ``inf`` stands for the limit, which the Bessel law has too."""
    from bfc.bounds.two_layer import build_problem
    from bfc.errors import require
    from bfc.experiment.components import component

    limit = d.strip() == "inf"
    dimension = 2.0 if limit else _parse_number("d", d)
    require(dimension == int(dimension), "--d", d, "integers from 2 to 1024, or inf")
    node = {
        "_target_": "bfc.targets.radial.Radial",
        "d": int(dimension),
        "law": "limit" if limit and law == "bessel" else law,
        **fields,
    }
    return build_problem(component("target", node), radii, checks, limit)


def _print_floors(problems: list[Problem], levels: list[float]) -> list[Floor]:
    """Print a line per problem and error, each as soon as it is certified."""
    from bfc.bounds.two_layer import bound_norm

    print(f"{'d':>6} {'eps':>8} {'lower':>12} {'upper':>12} {'gap':>8}")
    floors = []
    for radial_problem in problems:
        for level in levels:
            floor = bound_norm(radial_problem, level)
            floors.append(floor)
            print(
                f"{floor.d:6g} {level:8g} {floor.lower:12.5g} {floor.upper:12.5g} {floor.gap:8.2%}",
                flush=True,
            )
    return floors


def _write_csv(path: Path, floors: list[Floor]) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for floor in floors:
            numbers = [f"{value:.6g}" for value in (floor.lower, floor.upper)]
            writer.writerow([f"{floor.d:g}", f"{floor.eps:g}", *numbers, f"{floor.gap:.4f}"])


def _parse_number(name: str, text: str) -> float:
    from bfc.errors import UserError

    try:
        return float(text)
    except ValueError:
        raise UserError(f"--{name}={text}: must be numbers separated by commas") from None
