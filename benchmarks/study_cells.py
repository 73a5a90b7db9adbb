"""Whole training cells of two studies by generated code and operation by operation.

The cells of the demo size run from the command line's configuration to stored outcomes, with
tuning, checks, test risks, probes and confirming runs: CPU time of a fresh process after its
imports. By generated code they run twice: with none of it on disk (``new``), and with what this has
left there (``cached``). The verdicts on the study's claims and the outcomes of its trainings are
compared.

    python -m benchmarks.study_cells --study bfc_chain --compile never --results FOLDER

runs the cells of one study and prints the seconds. ``benchmarks.training`` runs them all.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import Any, get_args

import pandas as pd
import torch

from analysis.claims import judge_claims
from analysis.load import load_results
from benchmarks.cases import CPU, Compile
from benchmarks.fresh_process import number_of_process
from benchmarks.walls import clock
from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.registration import compose_sweep

STUDIES = {"bfc_chain": 32, "bfc_sample_complexity": 16}
"""Study → d of its training cells that are run."""
TRAINING = ["cell_id", "n", "seed", "kind"]
"""Columns that name a training."""


def study_seconds(study: str, compile: Compile, results: str) -> float:
    """CPU-seconds of the study's training cells, which are stored in ``results``."""
    arguments = [f"+sweeps={study}", "study.size=demo", f"results={results}"]
    planned = compose_sweep([*arguments, f"compute.compile={compile}", "compute.device=cpu"])
    jobs = [part.job for part in planned if part.job.learner is not None]
    start = clock(CPU)
    for job in jobs:
        if job.target.d == STUDIES[study]:
            run_job(job)
    return clock(CPU) - start


def measure(study: str) -> dict[str, Any]:
    """Seconds of the three ways, and what agrees between code and operations."""
    with tempfile.TemporaryDirectory() as folder:
        plain, new, cached = (f"{folder}/{way}" for way in ("plain", "new", "cached"))
        seconds = {
            "plain": _seconds_of_cells(study, "never", plain, folder),
            "new": _seconds_of_cells(study, "auto", new, folder),
            "cached": _seconds_of_cells(study, "auto", cached, folder),
        }
        trainings, equal_outcomes = _compare_outcomes(plain, new)
        verdicts = [_verdicts(study, results) for results in (plain, new)]
    return {
        **seconds,
        "trainings": trainings,
        "equal_outcomes": equal_outcomes,
        "claims": len(verdicts[0]),
        "equal_verdicts": sum(a == b for a, b in zip(*verdicts, strict=True)),
        "verdicts": dict(zip(("plain", "compiled"), verdicts, strict=True)),
    }


def _seconds_of_cells(study: str, compile: Compile, results: str, cache: str) -> float:
    options = ("--study", study, "--compile", compile, "--results", results)
    return number_of_process("study_cells", options, cache)


def _compare_outcomes(plain: str, compiled: str) -> tuple[int, int]:
    """How many trainings both stores hold, and how many of them have the same outcome."""
    tables: list[pd.DataFrame] = []
    for results in (plain, compiled):
        tables.append(load_results(results).stored.trainings[[*TRAINING, "outcome"]])
    both = tables[0].merge(tables[1], on=TRAINING)
    return len(both), int((both["outcome_x"] == both["outcome_y"]).sum())


def _verdicts(study: str, results: str) -> list[str]:
    """The verdict on every claim of the study, in its order."""
    evidence = load_results(results, study).studies[study]
    return [str(verdict) for verdict in judge_claims(study, evidence)["verdict"]]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", choices=STUDIES, required=True)
    parser.add_argument("--compile", choices=get_args(Compile), required=True)
    parser.add_argument("--results", required=True, help="folder of the store")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(study_seconds(options.study, options.compile, options.results))


if __name__ == "__main__":
    main()
