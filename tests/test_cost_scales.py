"""Predicted seconds are scaled by what the same learner or baseline took."""

from __future__ import annotations

import math

import pytest

from bfc.api import compose
from bfc.experiment import cost
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.cost import Cost


def predict(model: Cost, *overrides: str) -> float:
    job = compose("measure=single", "measure.n=fresh", "measure.seeds=2", "probe=none", *overrides)
    return model.seconds(job, cell_specs(job))


def test_a_learner_is_scaled_by_its_cells_and_another_by_those_of_all() -> None:
    model = Cost({"learner": 4.0, "all": 4.0}, {"MLP": 0.5})
    plain = Cost()
    mlp, densenet = ("learner=mlp",), ("learner=quadratic_densenet",)
    assert predict(model, *mlp) == pytest.approx(0.5 * predict(plain, *mlp))
    assert predict(model, *densenet) == pytest.approx(4.0 * predict(plain, *densenet))


def test_few_cells_are_drawn_towards_those_of_their_kind(monkeypatch) -> None:
    """Sixteen times as long by one cell among many of the prediction: four times."""
    ratios = [("learner", "A", 0.0)] * 9 + [("learner", "B", math.log(16.0))]
    cells = [(cost._Ratio(*ratio), 0.0) for ratio in ratios]
    monkeypatch.setattr(cost, "_latest_cells", lambda root: cells)
    monkeypatch.setattr(cost, "_measured_over_predicted", lambda ratio, changed: ratio)
    model = cost.fit_cost_model(["nowhere"])
    assert model.cells == 10 and model.scale == {"learner": 1.0, "all": 1.0}
    assert model.component_scale == {"A": 1.0, "B": pytest.approx(4.0)}
