"""How many trainings an exponent costs, by procedure.

Compared are what peers do (a grid of n in factors of two walked up to the first n at which the
median seed succeeds, then least squares), bisection, and rounds placed by the posterior with the
likelihood at the end. Truth is simulated (n* = 1.6 d^2, d =
8 to 64, log n* spread by 0.35 over seeds), with and without scatter τ over d, and n is capped below
n* of the largest d, so that this cell is censored: least squares loses it, the likelihood does not.

    python -m benchmarks.procedures [--repeats 100] [--seed 0] [--out FOLDER]

prints a table and a summary; FOLDER receives procedures.csv, procedures.json and
procedures.png. Two things decide how well the grid does, so both are varied. Its count depends on
where it starts: from n = 4 for every d, or from n = d. And on a grid in factors of two, with
exponent 2 and d = 8, 11, 16 ... in factors of √2, n* of every d lies at the same place between two
rungs; where that place is a good one (phase ``fixed``: no d is near a rung), rounding to rungs
costs the slope nothing, a luck that no one can plan. With phase ``varied`` every sweep multiplies
n* by a factor of its own between 0.7 and 1.4. The first d of an adaptive sweep starts knowing
nothing but n = 4 to the cap."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.exponent_procedures import PROCEDURES, Procedure
from benchmarks.record import Aim, finish
from bfc.stats.simulation import World

TAUS = (0.0, 0.15)
PHASES = ("fixed", "varied")


def study(
    repeats: int, seed: int = 0, procedures: tuple[Procedure, ...] = PROCEDURES
) -> pd.DataFrame:
    """One row per phase, τ and procedure: trainings (mean), rmse with its standard error, bias,
    coverage, open (sweeps without an exponent, which are no part of rmse)."""
    rows = []
    for phase, tau, procedure in itertools.product(PHASES, TAUS, procedures):
        world = World(tau=tau)
        answers = []
        for repeat in range(repeats):
            rng = np.random.default_rng([seed, repeat])
            shift = np.log(2) * (rng.random() - 0.5) if phase == "varied" else 0.0
            answers.append(procedure.run(world, world.draw(rng) + shift, rng))
        trainings, exponents, lo, hi = np.array(answers).T
        error = (exponents - world.exponent)[np.isfinite(exponents)]
        rmse = np.sqrt(np.mean(error**2))
        rows.append(
            {
                "phase": phase,
                "tau": tau,
                "procedure": procedure.name,
                "family": procedure.family,
                "trainings": trainings.mean(),
                "rmse": rmse,
                "rmse_error": np.std(error**2) / np.sqrt(len(error)) / (2 * rmse),
                "bias": error.mean(),
                "coverage": np.mean((lo <= world.exponent) & (world.exponent <= hi)),
                "open": int(repeats - len(error)),
                "repeats": repeats,
            }
        )
    return pd.DataFrame(rows)


def floor(tau: float) -> float:
    """Standard deviation of the exponent that no number of trainings on these d gets below."""
    return tau / np.sqrt(np.sum((np.log(World.d) - np.mean(np.log(World.d))) ** 2))


def equal_rmse(table: pd.DataFrame, phase: str, tau: float, family: str) -> pd.DataFrame:
    """For every adaptive row the trainings that ``family`` needs for the same RMSE, interpolated
    between that family's rows in (log RMSE, log trainings), and their ratio. Beyond its rows
    nothing is extrapolated: ``bound`` is then ``at least`` or ``at most``."""
    rows = table[(table["phase"] == phase) & (table["tau"] == tau)]
    peers = rows[rows["family"] == family].sort_values("trainings")
    best_log_rmse = np.minimum.accumulate(np.log(peers["rmse"].to_numpy()))[::-1]
    adaptive_rows = rows[rows["family"] == "adaptive"]
    log_rmse = np.log(adaptive_rows["rmse"].to_numpy())
    needed = np.exp(np.interp(log_rmse, best_log_rmse, np.log(peers["trainings"].to_numpy())[::-1]))
    bound = np.where(
        log_rmse < best_log_rmse[0],
        "at least",
        np.where(log_rmse > best_log_rmse[-1], "at most", "about"),
    )
    return adaptive_rows[["procedure", "trainings", "rmse"]].assign(
        needed=needed, ratio=needed / adaptive_rows["trainings"], bound=bound
    )


def summarise(table: pd.DataFrame) -> list[str]:
    """What the table shows, one sentence per adaptive row."""
    sentences = []
    for phase, family in itertools.product(PHASES, ("grid", "grid from d")):
        for row in equal_rmse(table, phase, 0.0, family).to_dict("records"):
            sentences.append(
                f"tau = 0, phase {phase}: {row['procedure']} has RMSE {row['rmse']:.3f} from "
                f"{row['trainings']:.0f} trainings; the {family} needs {row['bound']} "
                f"{row['needed']:.0f}, {row['ratio']:.1f} times as many"
            )
    wall = floor(TAUS[-1])
    is_adaptive = (table["tau"] == TAUS[-1]) & (table["family"] == "adaptive")
    for row in table[is_adaptive].to_dict("records"):
        share = min(1.0, wall**2 / row["rmse"] ** 2)
        sentences.append(
            f"tau = {TAUS[-1]}, phase {row['phase']}: {row['procedure']}, "
            f"{row['trainings']:.0f} trainings: RMSE {row['rmse']:.3f}, "
            f"{share:.0%} of its square is the wall tau / sqrt(sum (log d - mean)^2) = "
            f"{wall:.3f}, which only more d move"
        )
    return sentences


def draw_figure(table: pd.DataFrame, path: Path) -> None:
    """RMSE against trainings, a panel per phase and scatter, with the coverage at every point."""
    figure = Figure(figsize=(8.5, 6.4), layout="constrained")
    panels = figure.subplots(len(PHASES), len(TAUS), sharex=True, sharey=True)
    for (phase, tau), axes in zip(itertools.product(PHASES, TAUS), panels.flat, strict=True):
        draw_panel(axes, table[(table["phase"] == phase) & (table["tau"] == tau)])
        if tau:
            axes.axhline(
                floor(tau), color="0.5", linestyle="--", linewidth=1, label="wall: only more d help"
            )
        axes.set(
            xscale="log",
            yscale="log",
            yticks=(0.02, 0.05, 0.1, 0.2, 0.5),
            yticklabels=(0.02, 0.05, 0.1, 0.2, 0.5),
            title=f"scatter over d: τ = {tau:g}; grid phase {phase}",
        )
        axes.minorticks_off()
    for axes in panels[-1]:
        axes.set_xlabel("trainings")
    for axes in panels[:, 0]:
        axes.set_ylabel("RMSE of the exponent")
    panels[0, -1].legend(
        frameon=False, fontsize=8, title="at each point: coverage of 95 %", title_fontsize=8
    )
    figure.savefig(path, dpi=150)


def draw_panel(axes: Axes, table: pd.DataFrame) -> None:
    """One line per family of procedures."""
    for family, group in table.groupby("family", sort=False):
        rows = group.sort_values("trainings")
        axes.errorbar(
            rows["trainings"],
            rows["rmse"],
            rows["rmse_error"],
            marker="o",
            markersize=4,
            linewidth=1,
            capsize=2,
            label=family,
        )
        for row in rows.to_dict("records"):
            axes.annotate(
                f"{row['coverage']:.2f}",
                (row["trainings"], row["rmse"]),
                (5, 4),
                textcoords="offset points",
                fontsize=7,
            )


def print_study(table: pd.DataFrame) -> None:
    """A line per row of the table."""
    errors = zip(table["rmse"], table["rmse_error"], strict=True)
    printed = table.assign(rmse=[f"{rmse:.3f} ± {error:.3f}" for rmse, error in errors])
    printed = printed.drop(columns=["family", "rmse_error", "repeats"])
    print(printed.to_string(index=False, float_format=lambda v: f"{v:.3g}"))


def write_files(table: pd.DataFrame, sentences: list[str], seed: int, folder: Path) -> None:
    """procedures.csv, procedures.json and procedures.png."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "procedures.csv", index=False)
    record = {
        "rows": table.to_dict("records"),
        "lines": sentences,
        "floor": floor(TAUS[-1]),
        "seed": seed,
    }
    (folder / "procedures.json").write_text(json.dumps(record, indent=1) + "\n")
    draw_figure(table, folder / "procedures.png")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Trainings against the error of an exponent, by procedure."
    )
    parser.add_argument(
        "--repeats", type=int, default=100, help="simulated sweeps per procedure, phase and tau"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=None, help="folder for procedures.csv, .json and .png"
    )
    parser.add_argument(
        "--json", type=Path, default=None, help="folder of the figures of all benchmarks"
    )
    options = parser.parse_args(arguments)
    table = study(options.repeats, options.seed)
    print_study(table)
    sentences = summarise(table)
    print("\n".join(sentences))
    if options.json is not None:
        best = equal_rmse(table, "varied", 0.0, "grid").iloc[-1]
        aim = Aim(
            f"trainings of the grid in factors of two / {best['procedure']}, equal error, tau = 0",
            float(best["ratio"]),
            2.0,
        )
        results = {"rows": table.to_dict("records"), "lines": sentences}
        finish("procedures", results, [aim], options.json)
    if options.out is not None:
        write_files(table, sentences, options.seed, options.out)


if __name__ == "__main__":
    main()
