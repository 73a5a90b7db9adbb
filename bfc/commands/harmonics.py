"""``bfc harmonics``: how much of a target's variance lies in which degree, exactly."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Theory"


def main(
    target: Annotated[
        str,
        typer.Argument(help="a file of conf/target, for instance low_rank or quadratic_feature"),
    ],
    keys: Annotated[
        list[str] | None,
        typer.Argument(help="keys of that file, for instance basis=power 'degrees=[4]'"),
    ] = None,
    d: Annotated[str, typer.Option(help="dimensions, separated by commas")] = "8,16,24",
) -> None:
    """The share of Var f* in every degree and the dimension of that degree: what learning to a
    given risk needs at least.

    On the sphere a fourth power is mostly of degree 2: bfc harmonics low_rank basis=power
    """
    import yaml

    from bfc.errors import UserError, nearest, require
    from bfc.experiment.components import component
    from bfc.paths import CONF

    options = sorted(path.stem for path in (CONF / "target").glob("*.yaml"))
    if target not in options:
        raise UserError(f"target={target}: no such target; {nearest(target, options)}")
    node = yaml.safe_load((CONF / "target" / f"{target}.yaml").read_text())
    for text in keys or []:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"{text}: must be key=value, for instance basis=power")
        node[key] = yaml.safe_load(value)
    dimensions = [part.strip() for part in d.split(",")]
    require(all(part.isdigit() for part in dimensions), "--d", d, "integers, separated by commas")
    parts = [component("target", {**node, "d": int(part)}) for part in dimensions]
    if not hasattr(parts[0], "harmonics"):
        raise UserError(
            f"target={target}: has no exact decomposition; allowed: low_rank, quadratic_feature"
        )
    print(f"{'d':>6} {'degree':>6} {'dimension':>12} {'share':>10} {'risk left':>10}")
    for part in parts:
        left = 1.0
        for harmonic in part.harmonics():
            left -= harmonic.share
            print(
                f"{part.d:6d} {harmonic.degree:6d} {harmonic.dimension:12d} {harmonic.share:10.4f} {max(left, 0.0):10.4f}"
            )
