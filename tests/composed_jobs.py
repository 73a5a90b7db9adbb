"""Jobs composed from the YAML files, for the tests of configuration and identity."""

import copy

from bfc.experiment.cell_spec import cell_specs
from bfc.experiment.job import load_job
from bfc.paths import CONF

OPTIONS = [
    f"{path.parent.relative_to(CONF)}={path.stem}"
    for path in sorted(CONF.rglob("*.yaml"))
    if path.parent != CONF
]
CONTEXTS = (
    (),
    ("optimizer.decay=constant",),
    ("target=radial", "learner=mean_field", "schedule=joint", "probe=none"),
    ("learner=quadratic_taylor", "schedule=all", "probe=none"),
    ("learner=resnet", "schedule=joint", "probe=none"),
    ("learner=resnet", "learner.remember=true", "schedule=joint", "probe=none"),
    ("learner=untied_quadratic", "probe=none"),
    ("target=leap", "learner=mlp", "schedule=joint", "probe=none"),
    ("target=hierarchy", "learner=mlp", "schedule=joint", "probe=none"),
    ("target=leap", "learner=twin", "schedule=joint", "probe=none"),
    ("learner=none", "baseline=polynomial"),
    ("target=hierarchy", "target.m=3", "learner=none", "baseline=clustering"),
    ("baseline=polynomial",),
)
"""What an option may need with it to make a job: fresh samples need a constant rate, some targets
no learner, some learners and probes a target of their own."""


def contexts(choice: str) -> list[tuple[str, ...]]:
    """Overrides to try with ``choice``, without those of its own group.

    ``learner=none`` stays, since a learner may be left out.
    """
    group = choice.partition("=")[0]
    prefixes = (f"{group}=", f"{group}.")
    return [
        tuple(part for part in context if part == "learner=none" or not part.startswith(prefixes))
        for context in CONTEXTS
    ]


def ids(values: dict) -> list[str]:
    return [spec.cell_id for spec in cell_specs(load_job(values))]


def changed(values: dict, **changes: object) -> dict:
    """A copy with dotted keys (double underscores) replaced."""
    values = copy.deepcopy(values)
    for key, value in changes.items():
        *path, last = key.split("__")
        node = values
        for name in path:
            node = node[name]
        node[last] = value
    return values
