"""Generated sets of overrides, valid and invalid: each of them runs or is refused in one sentence.

Values are drawn from both sides of every check. Sizes are kept small enough that a set which is
accepted can be run.
"""

import itertools
import json

import pyarrow.parquet
import pytest
from commands import TINY
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.hydra_plugins.composer import Composer
from bfc.hydra_plugins.hydra_errors import explain
from bfc.hydra_plugins.registration import register
from bfc.paths import CONF

CASES = 320
ODD = st.sampled_from(
    [
        "null",
        "true",
        "-1",
        "0",
        "1.5",
        "nan",
        "inf",
        "abc",
        "[]",
        "[1,2]",
        "{a: 1}",
        "''",
        "1e999",
        "'${x}'",
        "${target.d}",
    ]
)


def among(*good: str) -> st.SearchStrategy[str]:
    """A good value nine times out of ten."""
    return st.integers(0, 9).flatmap(lambda roll: st.sampled_from(good) if roll else ODD)


def options(group: str, *usual: str) -> st.SearchStrategy[str]:
    """One of the usual choices, which fit together, or any that there is in ``conf/``."""
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return st.one_of(st.sampled_from(usual), st.sampled_from(names))


VALUES = {
    "target": options("target", "quadratic_densenet", "parity", "quadratic_densnet"),
    "target.d": among("4", "5", "6"),
    "target.L": among("2", "3"),
    "target.widths": among("null", "[1]", "[2,1]", "[4,2]"),
    "target.k": among("1", "2"),
    "learner": options("learner", "quadratic_densenet", "none", "mlp", "mpl"),
    "learner.widths": among("null", "[2]", "[2,2]"),
    "schedule": options(
        "schedule", "staged", "joint", "layerwise", "refit", "level2_only", "stagd"
    ),
    "schedule.steps": among("10", "20"),
    "schedule.patience": among("null", "1"),
    "schedule.check_every": among("5", "10"),
    "optimizer": options("optimizer", "adam", "sgd"),
    "optimizer.lr": among("0.01", "1e-3", "1.0"),
    "optimizer.batch": among("4", "8"),
    "optimizer.decay": among("cosine", "constant"),
    "optimizer.warmup": among("0", "2", "20"),
    "baseline": options("baseline", "none", "rbf", "polynomial", "ntk", "nothing"),
    "measure": st.sampled_from(["ladder", "single", "adaptive", "online", "laddr"]),
    "measure.n": among("16", "[16]", "[8,16]", "[16,16]"),
    "measure.seeds": among("1", "2", "[0,3]", "[1,1]"),
    "measure.eps": among("0.5", "[0.5,0.1]", "[2]"),
    "measure.validation": among("inside", "free", "none"),
    "measure.validation_size": among("0.2", "16", "0"),
    "measure.test": among("32", "64", "8"),
    "measure.tune": among("null", "{lr: [0.01, 0.1], n: 16, draws: 1}", "{lr: [], n: 16}"),
    "measure.prior": among("null", "auto", "[3,1]", "[3,-1]"),
    "probe": options("probe", "none", "feature_error"),
    "task": options("task", "regression", "classification", "agnostic"),
    "task.noise": among("0.0", "0.1"),
    "representation": options("representation", "raw", "degree2"),
    "compute.dtype": among("float32", "float64", "float16"),
    "compute.stack": among("auto", "1", "3"),
    "compute.device": among("cpu", "gpu"),
    "compute.threads": among("1"),
    "tracker": st.sampled_from(["none", "wanb"]),
    "nothing.of.the.kind": st.just("1"),
}
SMALL = (
    "baseline.n_max=32",
    "baseline.tuning_draws=1",
    "baseline.width=32",
    "baseline.number=64",
    "baseline.units=16",
    "measure.rounds=1",
    "measure.replicas=2",
    "measure.n_min=8",
    "measure.n_max=16",
    "learner.m1=16",
    "learner.m2=8",
    "learner.width=32",
    "learner.n=1",
    "representation.n0=2000",
    "representation.multiple=2",
    "representation.labels=64",
    "representation.units=16",
    "representation.steps=5",
    "probe.rows=64",
    "probe.draws=1024",
)
"""Added where the chosen option has the key, so that nothing large is run."""
SETS = st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), max_size=4).flatmap(
    lambda keys: st.fixed_dictionaries({key: VALUES[key] for key in keys})
)
numbers = itertools.count()


@pytest.fixture(scope="module")
def composer():
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        default = compose("config", [], return_hydra_config=True)
        yield Composer(GlobalHydra.instance().config_loader(), default)


def test_every_set_of_overrides_runs_or_is_refused_in_a_sentence(
    composer, tmp_path, capsys
) -> None:
    counts = {"ran": 0, "refused": 0}
    tiny = dict(text.split("=", 1) for text in TINY)

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(SETS)
    def run_or_refuse(choices: dict[str, str]) -> None:
        overrides = [f"{key}={value}" for key, value in {**tiny, **choices}.items()]
        results = tmp_path / str(next(numbers))
        try:
            job = load_job({**_compose_small(composer, overrides), "results": str(results)})
        except Exception as error:
            _assert_one_sentence(error, overrides)
            assert not results.exists()
            counts["refused"] += 1
            return
        try:
            cell_ids = run_job(job)
        except Exception as error:
            _assert_one_sentence(error, overrides)
            counts["refused"] += 1
            return
        for cell_id in cell_ids:
            status = json.loads((results / cell_id / "status.json").read_text())
            table = pyarrow.parquet.read_metadata(results / cell_id / "trainings.parquet")
            assert status["state"] == "done" and table.num_rows > 0
        counts["ran"] += 1

    run_or_refuse()
    capsys.readouterr()
    ran, refused = counts["ran"], counts["refused"]
    with capsys.disabled():
        print(f"\n{ran + refused} sets of overrides: {ran} ran, {refused} were refused")
    assert ran + refused >= 300 and min(ran, refused) >= 60, counts


def _compose_small(composer: Composer, overrides: list[str]) -> dict:
    """The job of these overrides; sizes that they leave open are those of :data:`SMALL`."""
    job = composer.job(overrides)
    given_keys = {text.partition("=")[0] for text in overrides}
    for text in SMALL:
        key, _, value = text.partition("=")
        group, _, name = key.partition(".")
        if isinstance(job.get(group), dict) and name in job[group] and key not in given_keys:
            job[group][name] = int(value)
    return job


def _assert_one_sentence(error: Exception, overrides: list[str]) -> None:
    sentence = explain(error)
    assert sentence is not None and sentence.strip(), (overrides, error)
    assert "Traceback" not in sentence and len(sentence.splitlines()) == 1, sentence
    assert len(sentence) < 600, sentence
