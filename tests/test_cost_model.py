"""What a training is predicted to cost follows the kind of code that takes its steps."""

from __future__ import annotations

import pytest

from bfc.api import compose
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.cost import Cost, training_seconds


def predicted(*overrides):
    job = compose("measure=single", "measure.n=fresh", "measure.seeds=16", *overrides)
    (spec,) = cell_specs(job)
    return Cost().seconds(job, [spec])


def test_a_job_that_is_compiled_is_predicted_to_take_a_fraction():
    plain = predicted("compute.compile=never", "compute.device=cpu")
    assert predicted("compute.compile=auto", "compute.device=cpu") < plain / 2


@pytest.mark.parametrize("override", ["measure.seeds=2", "compute.device=cuda"])
def test_a_job_that_is_not_compiled_is_predicted_as_before(override):
    compiled, plain = (
        predicted("compute.device=cpu", f"compute.compile={mode}", override)
        for mode in ("auto", "never")
    )
    assert compiled == plain


def test_rounds_are_predicted_in_the_stacks_that_they_form():
    def predict_round(replicas, rounds):
        settings = [f"measure.replicas={replicas}", f"measure.rounds={rounds}"]
        job = compose("measure=adaptive", "compute.device=cpu", *settings)
        (spec,) = cell_specs(job)
        return Cost().seconds(job, [spec])

    assert predict_round(4, 8) == pytest.approx(8 * predict_round(4, 1))
    assert predict_round(4, 8) > 3 * predict_round(32, 1)


def test_idle_lanes_take_as_long_as_those_in_use():
    half, full = (training_seconds(1000, stack, 256, 500, True) * stack for stack in (8, 16))
    assert half == pytest.approx(full)
