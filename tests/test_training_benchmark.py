"""The benchmark of training compares equals, and prints its ratios and aims."""

from __future__ import annotations

import json

import pytest

from benchmarks import blocks as blocks_benchmark
from benchmarks import training as training_benchmark
from bfc.engine.compiled import cache


@pytest.mark.parametrize("case", training_benchmark.CASES)
def test_the_benchmark_compares_equals(case):
    """The plain loop, vmap and, where it is installed, JAX train what the stack trains."""
    training_benchmark.check_agreement(training_benchmark.CASES[case])


def test_the_benchmark_prints_ratios_and_aims(tmp_path, capsys):
    line = "--seconds 0.02 --rounds 1 --replicas 1 3 --cases tiny --json"
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
