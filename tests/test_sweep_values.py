"""The values that a sweep runs through, as they are written, so that cells and legends agree."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from bfc.experiment.cell_spec import cell_specs
from bfc.hydra_plugins.expansion import expand_study
from bfc.hydra_plugins.registration import register
from bfc.paths import CONF

RANGES = {
    "range(0.001,0.006,0.0005)": (
        "0.001 0.0015 0.002 0.0025 0.003 0.0035 0.004 0.0045 0.005 0.0055"
    ),
    "range(0.1,0.5,0.1)": "0.1 0.2 0.3 0.4",
    "range(0.1,0.35,0.1)": "0.1 0.2 0.3",
    "range(0.3,0,-0.1)": "0.3 0.2 0.1",
    "range(1e-4,5e-4,1e-4)": "0.0001 0.0002 0.0003 0.0004",
    "range(1,2,0.25)": "1.0 1.25 1.5 1.75",
    "range(1,4)": "1 2 3",
    "sort(range(0.1,0.5,0.1),reverse=true)": "0.4 0.3 0.2 0.1",
    "tag(rates,range(0.1,0.5,0.1))": "0.1 0.2 0.3 0.4",
    "choice(0.1,0.30000000000000004)": "0.1 0.30000000000000004",
}


@pytest.fixture(scope="module")
def expand():
    """Overrides of a sweep → its jobs."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        yield lambda *arguments: expand_study(config, loader, (), arguments)


@pytest.mark.parametrize("sweep", RANGES)
def test_a_range_holds_the_decimals_that_a_person_would_write(expand, sweep):
    jobs = expand(f"optimizer.lr={sweep}")
    assert [planned.overrides[0] for planned in jobs] == [
        f"optimizer.lr={value}" for value in RANGES[sweep].split()
    ]
    rates = [planned.job.optimizer.lr for planned in jobs]
    assert rates == [float(value) for value in RANGES[sweep].split()]


def test_a_shuffled_range_holds_the_same_values(expand):
    jobs = expand("optimizer.lr=shuffle(range(0.1,0.8,0.1))")
    rates = sorted(planned.job.optimizer.lr for planned in jobs)
    assert rates == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_a_value_from_a_range_is_the_cell_of_the_value_alone(expand):
    (alone,) = expand("optimizer.lr=0.0045")
    ranged = expand("optimizer.lr=range(0.001,0.006,0.0005)")[7]
    cells = [[spec.cell_id for spec in cell_specs(p.job)] for p in (alone, ranged)]
    assert cells[0] == cells[1]
