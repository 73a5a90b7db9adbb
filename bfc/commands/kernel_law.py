"""``bfc kernel-law``: what a kernel needs to learn a random hierarchy, in closed form."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bfc.baselines.ridge import KernelRidge
    from bfc.bounds.kernel_law import KernelLaw
    from bfc.targets.hierarchy import Hierarchy
    from bfc.targets.order_spectrum import Array

PANEL = "Theory"
PREFIX = "baseline."
"""What keys of the kernel begin with."""


def main(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            help="Keys of conf/target/hierarchy.yaml, for instance v=3 m=3 classes=3, and of the "
            "kernel, for instance baseline.depth=2."
        ),
    ] = None,
    kernel: Annotated[
        str, typer.Option(help="A rotation-invariant kernel, a file of conf/baseline.")
    ] = "ntk",
    ridge: Annotated[float, typer.Option(help="Lambda of K + lambda I.")] = 1e-8,
    eps: Annotated[float, typer.Option(help="MSE over variance at which n* is read.")] = 0.1,
    seeds: Annotated[int, typer.Option(help="Draws of the rules, seeds 0, 1, ...")] = 8,
    n: Annotated[
        str | None, typer.Option(help="Numbers of samples, separated by commas; else powers of 4.")
    ] = None,
) -> None:
    """Show the spectrum of a random hierarchy, and the risk of a kernel on it at every n.

    A kernel learns the orders of interaction one after the other. Its risk on unseen strings is
    exact up to fluctuations of the sample; so is n*, beside that of the best of all such kernels.
    For instance: bfc kernel-law v=3 m=3 classes=3 --kernel rbf
    """
    from bfc.errors import require
    from bfc.targets.order_spectrum import variance_shares

    require(0 < eps < 1, "--eps", eps, "a number between 0 and 1")
    require(0 <= ridge < math.inf, "--ridge", ridge, "a number >= 0")
    require(1 <= seeds <= 1024, "--seeds", seeds, "an integer from 1 to 1024")
    target, ridge_kernel = _read_components(keys or (), kernel)
    sizes = _parse_sizes(n, target.v**target.d)
    law = _law(target, ridge_kernel, ridge)
    shares = variance_shares(target.grammar.draw(range(seeds)))
    print(f"{ridge_kernel.label} on strings of d = {target.d} symbols out of v = {target.v}\n")
    _print_spectrum(law, shares.mean(0))
    _print_risks(law, shares, sizes)
    _print_samples(law, shares, eps)


def _read_components(keys: Sequence[str], kernel: str) -> tuple[Hierarchy, KernelRidge]:
    from bfc.application.option_node import read_option
    from bfc.baselines.ridge import KernelRidge
    from bfc.bounds.kernel_law import check_law
    from bfc.errors import UserError
    from bfc.experiment.components import component

    kernel_keys = [key.removeprefix(PREFIX) for key in keys if key.startswith(PREFIX)]
    target_keys = [key for key in keys if not key.startswith(PREFIX)]
    target: Hierarchy = component("target", read_option("target", "hierarchy", target_keys))
    baseline = component("baseline", read_option("baseline", kernel, kernel_keys))
    if not isinstance(baseline, KernelRidge):
        raise UserError(f"--kernel={kernel}: is no kernel ridge regression")
    if baseline.tuned_parameters:
        names = ", ".join(baseline.tuned_parameters)
        raise UserError(f"baseline.{names}=auto: must be a number, since nothing is tuned here")
    check_law(target, baseline)
    return target, baseline


def _parse_sizes(n: str | None, strings: int) -> list[int]:
    from bfc.errors import require

    if n is None:
        return [4**k for k in range(2, 20) if 4**k < strings]
    parts = [part.strip() for part in n.split(",")]
    valid = all(part.isdigit() and 1 <= int(part) for part in parts)
    require(valid, "--n", n, "integers >= 1, separated by commas")
    return [int(part) for part in parts]


def _law(target: Hierarchy, kernel: KernelRidge, ridge: float) -> KernelLaw:
    from bfc.bounds.kernel_law import KernelLaw

    return KernelLaw.of(kernel, target.v, target.d, ridge)


def _print_spectrum(law: KernelLaw, shares: Array) -> None:
    """Per order the number of functions, the mean share of the variance, the eigenvalue."""
    from bfc.targets.order_spectrum import multiplicities

    number = multiplicities(law.v, law.d)
    print(f"{'order':>6} {'functions':>12} {'share':>10} {'eigenvalue':>12} {'risk left':>10}")
    left = 1.0
    for order, share in enumerate(shares.tolist(), start=1):
        left -= share
        value = float(law.eigenvalues[order])
        print(
            f"{order:6d} {number[order]:12.6g} {share:10.4f} {value:12.4g} {max(left, 0.0):10.4f}"
        )


def _print_risks(law: KernelLaw, shares: Array, sizes: Sequence[int]) -> None:
    """Per n the median and the extremes over seeds of the risk on unseen strings."""
    print(f"\n{'n':>10} {'risk':>10} {'lowest':>10} {'highest':>10}")
    for size in sizes:
        risks = [law.unseen_risk(size, row) for row in shares]
        median = statistics.median(risks)
        print(f"{size:10d} {median:10.4f} {min(risks):10.4f} {max(risks):10.4f}")


def _print_samples(law: KernelLaw, shares: Array, eps: float) -> None:
    from bfc.targets.order_spectrum import samples_of_the_best_kernel

    samples = [law.samples(eps, row) for row in shares]
    best = [samples_of_the_best_kernel(row, law.v, eps) for row in shares]
    print(
        f"\nn* at MSE {eps:g} (median, all strings): {statistics.median(samples):.4g}; best of all "
        f"such kernels: {statistics.median(best):.4g}; strings: {law.v**law.d:.6g}"
    )
