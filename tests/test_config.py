"""Every YAML under conf/ and sweeps/ is a job that composes and runs."""

import copy
import dataclasses
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from commands import container, plan_sweeps, store
from composed_jobs import OPTIONS, changed, contexts, ids
from sampling import sample_cases

from bfc.errors import UserError
from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.components import component
from bfc.experiment.job import load_job
from bfc.experiment.run_job import run_job
from bfc.paths import CONF, SWEEPS
from bfc.stats.outcomes import Outcome
from bfc.yaml_text import parse_yaml

STUDIES = sorted(SWEEPS.glob("*.yaml"))


@pytest.mark.parametrize("choice", OPTIONS)
def test_every_option_of_every_group_makes_a_job(choice: str) -> None:
    for context in contexts(choice):
        try:
            cells = cell_specs(load_job(container(choice, *context)))
        except UserError as error:
            reason = error
            continue
        assert cells and all(len(cell.cell_id) == 16 for cell in cells)
        return
    if "is not installed" in str(reason):
        pytest.skip(str(reason))
    pytest.fail(f"{choice}: no job with it is accepted: {reason}")


@pytest.mark.parametrize(
    "choice", [choice for choice in OPTIONS if not choice.startswith("hydra/")]
)
def test_a_yaml_holds_every_key_of_its_class_that_has_no_default(choice: str) -> None:
    group, _, name = choice.partition("=")
    node = parse_yaml((CONF / group / f"{name}.yaml").read_text())
    part = component(group, node)
    if part is None:
        assert set(node) <= {"_target_"}
        return
    fields = {f.name: f for f in dataclasses.fields(part) if f.init}
    assert set(node) - {"_target_"} <= set(fields)
    for name in set(fields) - set(node):
        field = fields[name]
        assert (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
    assert (
        component(
            group, {"_target_": node["_target_"], **{k: node[k] for k in node if k != "_target_"}}
        )
        == part
    )


def test_the_default_job_is_a_learner_on_a_ladder() -> None:
    cells = cell_specs(load_job(container()))
    assert [cell.kind for cell in cells] == ["learner"] and cells[
        0
    ].method == "staged quadratic_densenet"
    assert (
        cells[0].config["target_name"] == "quadratic_densenet"
        and cells[0].config["d"] == 16
        and cells[0].config["degree"] == 4
    )


def tiny(values: dict) -> dict:
    """A job of a study made as small as its structure allows."""
    small = copy.deepcopy(values)
    shrink = {
        "target": {"d": 6, "quadrature": 1 << 16},
        "schedule": {"steps": 4, "check_every": 2},
        "probe": {"rows": 64},
        "optimizer": {"batch": 8, "warmup": 1},
        "learner": {"m1": 16, "m2": 8, "width": 64, "n": 1},
        "compute": {"device": "cpu"},
        "measure": {"seeds": 1, "test": 64, "confirm": 1},
        "baseline": {
            "n_max": 32,
            "n_min": 8,
            "tuning_draws": 1,
            "n_ratio": 1.5,
            "ridge_grid": [0.1, 1.0],
            "keep": [2],
        },
        "representation": {"n0": 4000, "multiple": 2.0, "labels": 64, "steps": 4, "units": 16},
    }
    if small["representation"].get("features") is not None:
        shrink["representation"] |= {"features": 64, "keep": 27}
    if isinstance(small["baseline"], dict) and isinstance(small["baseline"].get("keep"), int):
        shrink["baseline"] |= {"keep": 2}
    for group, changes in shrink.items():
        small[group].update({key: value for key, value in changes.items() if key in small[group]})
    if "d" in small["target"]:
        small["target"]["d"] = max(6, len(small["target"].get("degrees") or []))
    if isinstance(small["measure"].get("n"), list):
        small["measure"]["n"] = [16, 24]
    if small["measure"].get("validation") == "free":
        small["measure"]["validation_size"] = 16
    small["study"] = {"name": values["study"]["name"], "size": "tiny"}
    return small


def component_names(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The class of every component of a job, and its schedule's phases."""
    nodes = [node for _, node in sorted(values.items()) if isinstance(node, dict)]
    return tuple(json.dumps(node.get("phases", node.get("_target_"))) for node in nodes)


@pytest.mark.parametrize("study", [path.stem for path in STUDIES])
def test_every_study_composes_in_every_size_and_its_jobs_run(
    study: str, tmp_path, is_exhaustive: bool
) -> None:
    """In one test per study, since composing is what costs here.

    Without ``--exhaustive`` the fewest jobs run in which every component occurs, and the sweeper's
    shared compositions are compared with Hydra's own in one size.
    """
    small: list[str] = []
    sizes = parse_yaml((SWEEPS / f"{study}.yaml").read_text())["study"]["sizes"]
    sweeps = [(f"+sweeps={study}", f"study.size={size}") for size in sizes]
    compared = sizes if is_exhaustive else [random.Random(study).choice(sorted(sizes))]
    for (size, blocks), planned in zip(sizes.items(), plan_sweeps(sweeps), strict=True):
        jobs = [job.container for job in planned]
        assert jobs and all(
            values["study"]["name"] == study and values["study"]["size"] == size for values in jobs
        )
        cells = {tuple(spec.cell_id for spec in job.cells) for job in planned}
        assert len(cells) == len(jobs), "two jobs of a study ask for the same cells"
        if size in compared:
            block = random.Random(f"{study} {size}").choice(blocks)
            assert composed_in_full(study, size, block) in jobs
        small += [json.dumps(tiny(values), sort_keys=True) for values in jobs]
    small = list(dict.fromkeys(small))
    if not is_exhaustive:
        cases = [set(enumerate(component_names(json.loads(text)))) for text in small]
        small = [small[index] for index in sample_cases(cases)]
    expected = set()
    for text in small:
        values = {**json.loads(text), "results": str(tmp_path / "results")}
        expected |= set(ids(values))
        assert run_job(load_job(values)) == ids(values)
    stored = store(tmp_path / "results")
    assert set(stored) == expected and all(stored.values())
    assert {row["outcome"] for rows in stored.values() for row in rows} <= set(Outcome)


def composed_in_full(study: str, size: str, block: dict) -> dict:
    """The first job of a block, composed by Hydra by itself.

    The sweeper shares one composition among jobs.
    """

    def head(value: object) -> object:
        """The first of several values: what stands before the first comma outside brackets."""
        if not isinstance(value, str):
            return value
        depth = 0
        for position, letter in enumerate(value):
            depth += (letter in "[{") - (letter in "]}")
            if letter == "," and depth == 0:
                return value[:position]
        return value

    first = [f"{key}={head(value)}" for key, value in block.items()]
    job = container(f"+sweeps={study}", f"study.size={size}", *first)
    return {**job, "results": str(Path(job["results"]).resolve())}


def test_seed_zero_is_a_seed() -> None:
    measure = load_job(changed(container(), measure__seeds=[0])).measure
    assert measure.seeds == (0,) and {t.seed for t in measure.trainings()} == {0}
    assert load_job(changed(container(), measure__seeds=1)).measure.seeds == (0,)
    assert load_job(changed(container(), measure__seeds=0 + 3)).measure.seeds == (0, 1, 2)


def test_folders_of_configuration_are_found() -> None:
    assert (CONF / "config.yaml").is_file() and Path(SWEEPS).is_dir()
