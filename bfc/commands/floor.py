"""``bfc floor``: the path norm that any two-layer ReLU network needs on a radial target, from both
sides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Theory"


def main(
    d: Annotated[
        str, typer.Option(help="dimensions, separated by commas; inf for the limit")
    ] = "2,16,64,inf",
    eps: Annotated[
        str, typer.Option(help="relative errors E(f - f*)^2 / Var f*, separated by commas")
    ] = "0.1,0.01,0.001,0.0001",
    law: Annotated[str, typer.Option(help="law of the radius: bessel, limit or uniform")] = "limit",
    profile: Annotated[str, typer.Option(help="hinge, cosine or ball")] = "hinge",
    frequency: Annotated[float, typer.Option(help="of the cosine")] = 1.0,
    edge_ratio: Annotated[
        float,
        typer.Option(help="K of bessel and limit: the radius 1 over the inner edge of the law"),
    ] = 2.0,
    inner: Annotated[
        float, typer.Option(help="smallest radius of the uniform law (a shell where > 0)")
    ] = 0.0,
    outer: Annotated[float, typer.Option(help="largest radius")] = 5.0,
    radii: Annotated[int, typer.Option(help="quantiles of the radius")] = 400,
    checks: Annotated[int, typer.Option(help="offsets on which a bound is certified")] = 3000,
    out: Annotated[Path | None, typer.Option(help="write the table to this CSV file, too")] = None,
) -> None:
    """Certified lower bounds, for every width, on the path norm sum |a_j| |w_j| / sqrt(2 pi d) of
    two-layer ReLU networks.

    One line per dimension and error: no two-layer network with a norm below LOWER has this error,
    one with UPPER has it.
    """
    import csv

    from bfc.bounds.two_layer import norm_needed, problem
    from bfc.errors import UserError, require
    from bfc.experiment.components import component

    levels = [_number("eps", text) for text in eps.split(",")]
    for level in levels:
        require(0 < level < 1, "--eps", level, "numbers between 0 and 1")
    problems = []
    for text in d.split(","):
        limit = text.strip() == "inf"
        size = 2.0 if limit else _number("d", text)
        require(size == int(size), "--d", text, "integers from 2 to 1024, or inf")
        own = {"d": int(size), "law": "limit" if limit and law == "bessel" else law}
        values = {
            "profile": profile,
            "frequency": frequency,
            "edge_ratio": edge_ratio,
            "inner": inner,
            "outer": outer,
        }
        target = component("target", {"_target_": "bfc.targets.radial.Radial", **own, **values})
        problems.append(problem(target, radii, checks, limit))
    if out is not None and not out.parent.is_dir():
        raise UserError(f"--out={out}: must be in a folder that exists")
    print(f"{'d':>6} {'eps':>8} {'lower':>12} {'upper':>12} {'gap':>8}")
    rows = []
    for own in problems:
        for level in levels:
            floor = norm_needed(own, level)
            rows.append(
                [
                    f"{floor.d:g}",
                    f"{level:g}",
                    f"{floor.lower:.6g}",
                    f"{floor.upper:.6g}",
                    f"{floor.gap:.4f}",
                ]
            )
            print(
                f"{floor.d:6g} {level:8g} {floor.lower:12.5g} {floor.upper:12.5g} {floor.gap:8.2%}",
                flush=True,
            )
    if out is not None:
        with out.open("w", newline="") as file:
            csv.writer(file).writerows([["d", "eps", "lower", "upper", "gap"], *rows])


def _number(name: str, text: str) -> float:
    from bfc.errors import UserError

    try:
        return float(text)
    except ValueError:
        raise UserError(f"--{name}={text}: must be numbers separated by commas") from None
