"""The benchmark of training compares equals, and prints its ratios and aims."""

from __future__ import annotations

import json

import pytest
import torch
from commands import ROOT

from benchmarks import blocks as blocks_benchmark
from benchmarks import first_step, generated, training_aims
from benchmarks import training as training_benchmark
from benchmarks.record import RESULTS
from benchmarks.table import MODULES, PARTS, aims_of, page, steps
from bfc.engine.compiled import cache


@pytest.mark.parametrize("case", training_benchmark.CASES)
def test_the_benchmark_compares_equals(case):
    """The plain loop, vmap and, where it is installed, JAX train what the stack trains."""
    training_benchmark.check_agreement(training_benchmark.CASES[case])


def test_the_benchmark_prints_ratios_and_aims(tmp_path, capsys):
    line = "--seconds 0.02 --rounds 1 --replicas 1 3 --cases tiny --parts rates --json"
    training_benchmark.main([*line.split(), str(tmp_path)])
    (file,) = tmp_path.iterdir()
    entry = json.loads(file.read_text())["training"]
    rows = entry["figures"]["tiny"]["rows"]
    assert [row["replicas"] for row in rows] == [1, 3]
    assert all(row["stack_over_loop"] == pytest.approx(row["stack"] / row["loop"]) for row in rows)
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("tiny perceptron, stack / plain loop: ") and line.endswith(("met", "short"))
        for line in lines
    )
    assert entry["machine"]["hardware"] and all(
        aim["met"] == (aim["figure"] >= aim["aim"]) for aim in entry["aims"]
    )


def test_the_benchmark_without_peers_checks_agreement_first(capsys, monkeypatch):
    """On a CPU it sets lanes beside the plain path, on a GPU blocks."""
    monkeypatch.setattr(cache, "CACHE", cache.CACHE)  # which it changes
    line = "--device cpu --cases tiny --replicas 2 --seconds 0.01"
    blocks_benchmark.main(line.split())
    shown = capsys.readouterr().out
    assert shown.count("(agrees), two runs equal") == 2
    assert "tiny, R = 2, 8 warps: replica-steps/s plain " in shown


def test_what_generated_code_gains_is_printed(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    chain, (learner, _) = generated.CHAIN, generated.REVERSE["quadratic"]
    monkeypatch.setattr(generated, "FEW", {"a quadratic network": chain})
    monkeypatch.setattr(generated, "SIZES", (2,))
    monkeypatch.setattr(generated, "REVERSE", {"quadratic": (learner, (2,))})
    generated.main(["--seconds", "0.01"])
    shown = capsys.readouterr().out
    titles = ("code / operations", "code / torch", "automatic differentiation")
    assert all(title in shown for title in titles)
    assert len([line for line in shown.splitlines() if line.startswith("│")]) == 4


def test_ratios_take_each_side_at_its_best_stack_size():
    rows = [{"stack": 1.0, "jax": 6.0}, {"stack": 8.0, "jax": 2.0}, {"stack": 4.0, "jax": 3.0}]
    assert training_aims.best({"tiny": {"rows": rows}}, "tiny", "stack_over_jax") == 8 / 6


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_case_has_an_aim_beside_jax_where_it_was_measured(device):
    columns = ("stack", "jax", "loop", "products", "eager", "of_peak")
    row = dict.fromkeys(columns, 2.0)
    for jax, expected in ((2.0, set(training_benchmark.CASES)), (float("nan"), set())):
        figures = {name: {"rows": [{**row, "jax": jax}]} for name in training_benchmark.CASES}
        aims = training_aims.rate_aims(figures, torch.device(device))
        beside_jax = {aim.name.partition(",")[0] for aim in aims if "/ jax" in aim.name}
        assert beside_jax == {training_aims.NAMES[name] for name in expected}


def test_first_steps_and_studies_are_judged_by_what_they_add():
    step = {"case": "tiny", "plain": 0.2, "new": 1.9, "cached": 0.1}
    more, ratio = training_aims.first_step_aims([step], torch.device("cpu"))
    assert (more.figure, more.met) == (pytest.approx(1.7), False)
    assert (ratio.figure, ratio.met) == (pytest.approx(0.5), True)
    cells = {"study": "bfc_chain", "plain": 30.0, "new": 15.0, "cached": 6.0}
    *rates, verdicts = training_aims.study_aims([{**cells, "equal_verdicts": 6, "claims": 7}])
    assert [aim.met for aim in rates] == [False, True]
    assert not verdicts.met


def test_a_first_step_is_timed_in_this_process(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    first_step.main(["--case", "quadratic", "--compile", "never"])
    assert float(capsys.readouterr().out) > 0
    assert not list(tmp_path.iterdir())


def test_figures_of_first_steps_and_studies_are_printed_as_tables(tmp_path):
    machine = {"hardware": "a processor", "cores": 2, "torch": "2.13"}
    seconds = {"plain": 0.2, "new": 1.9, "cached": 0.1}
    counts = {"trainings": 9, "equal_outcomes": 8, "claims": 3, "equal_verdicts": 2}
    figures = {
        "first_step": {"rows": [{"case": "tiny", **seconds}]},
        "study_cells": {"rows": [{"study": "bfc_chain", **seconds, **counts}]},
    }
    rest = {"machine": machine, "aims": [], "date": "2026-11-28"}
    entries = {name: {**rest, "figures": part} for name, part in figures.items()}
    (tmp_path / "a.json").write_text(json.dumps(entries))
    lines = list(page(tmp_path))
    assert "| tiny | 0.20 | 1.90 | 0.10 |" in lines
    assert "| bfc_chain | 0.2 | 1.9 | 0.1 | 8 of 9 | 2 of 3 |" in lines
    assert set(MODULES) <= set(PARTS)


def test_rates_are_judged_by_the_aims_of_today_and_printed_where_they_were_measured():
    row = {"replicas": 16, "stack": 8.0, "eager": 8.0, "loop": 1.0, "jax": 2.0, "products": 9.0}
    row |= {"blocks": float("nan"), "of_peak": 0.5, "of_wall": 0.5, "wall": 16.0}
    row |= {"flops": 1.0, "bytes": 1.0}
    figures = {"quadratic": {"rows": [row]}, "product_rate": 1.0, "copy_rate": 1.0}
    old = {"name": "of then", "figure": 1.0, "aim": 0.1, "met": True, "at_most": False}
    entry = {"machine": {"hardware": "a processor"}, "aims": [old], "figures": figures}
    (judged,) = aims_of("training", entry)
    assert (judged["figure"], judged["aim"], judged["met"]) == (4.0, 4.0, True)
    head, _, rates, *_ = steps(figures)
    titles = "network | R | ours | plain loop | JAX | products alone | of the unfused limit"
    assert head == f"| {titles} |" and rates == "| quadratic | 16 | 8 | 1 | 2 | 9 | 50% |"


def test_the_figures_of_the_docs_are_the_committed_ones():
    text = (ROOT / "docs" / "speed.md").read_text()
    _, figures = text.split("\n## Figures\n\n")
    assert figures.splitlines() == [*page(RESULTS)][:-1]
