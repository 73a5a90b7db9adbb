"""``bfc harmonics``: how much of a target's variance lies in which degree, exactly."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Theory"


def main(
    target: Annotated[
        str,
        typer.Argument(help="A file of conf/target, for instance low_rank or quadratic_feature."),
    ],
    keys: Annotated[
        list[str] | None,
        typer.Argument(help="Keys of that file, for instance basis=power 'degrees=[4]'."),
    ] = None,
    d: Annotated[str, typer.Option(help="Dimensions, separated by commas.")] = "8,16,24",
) -> None:
    """Show the share of Var f* in every degree, and the dimension of that degree.

    They say what learning to a given risk needs at least. On the sphere a fourth power is mostly of
    degree 2: bfc harmonics low_rank basis=power
    """
    from bfc.application.option_node import read_option
    from bfc.errors import UserError, require
    from bfc.experiment.components import component
    from bfc.targets.capabilities import HarmonicTarget

    node = read_option("target", target, keys or ())
    dimensions = [part.strip() for part in d.split(",")]
    require(all(part.isdigit() for part in dimensions), "--d", d, "integers, separated by commas")
    lines = []
    for dimension in map(int, dimensions):
        sized_target = component("target", {**node, "d": dimension})
        if not isinstance(sized_target, HarmonicTarget):
            raise UserError(
                f"target={target}: has no exact decomposition; allowed: low_rank, quadratic_feature"
            )
        risk = 1.0
        for part in sized_target.harmonics():
            risk -= part.share
            lines.append(
                f"{dimension:6d} {part.degree:6d} {part.dimension:12d} "
                f"{part.share:10.4f} {max(risk, 0.0):10.4f}"
            )
    print(f"{'d':>6} {'degree':>6} {'dimension':>12} {'share':>10} {'risk left':>10}")
    print("\n".join(lines))
