"""Whatever is asked for wrongly costs one sentence on standard error that names the key, the value
and what is allowed, a non-zero exit status, and nothing else: no traceback, no line of Hydra's, no
file."""

import dataclasses
import os
import shlex
import stat
import subprocess
import typing

import pytest
import torch
from commands import TINY, container, environment, process, run
from hydra.core.override_parser.overrides_parser import OverridesParser

from bfc.environment import resolve_device
from bfc.errors import UserError
from bfc.experiment.components import GROUPS, component
from bfc.experiment.job import Job, load_job

# Overrides → what the sentence must say. These go through Hydra's parser and the checks, without a
# composition of their own each.
VALUES = {
    "target.d=abc": "target.d=abc: must be an integer",
    "target.d=1.5": "target.d=1.5: must be an integer",
    "target.d=null": "target.d=null: must be an integer",
    "target.d=true": "target.d=true: must be an integer",
    "target.d=nan": "target.d=nan: must be an integer",
    "target.d=inf": "target.d=inf: must be an integer",
    "target.d=''": "target.d=: must be an integer",
    "target.d=[]": "target.d=[]: must be an integer",
    "target.d=[1,2]": "target.d=[1, 2]: must be an integer",
    "target.d={a:1}": 'target.d={"a": 1}: must be an integer',
    "target.d=-5": "target.d=-5: must be an integer from 1 to 1048576",
    "target.d=0": "target.d=0: must be an integer from 1",
    "target.d=1048577": "must be an integer from 1 to 1048576",
    "target.d=99999999999999999999999999": "target.d=99999999999999999999999999: must be an integer from 1",
    "target.d='???'": "target.d=???: must be an integer",
    "target.L=1": "target.L=1: must be an integer from 2 to 8",
    "target.L=9": "target.L=9: must be an integer from 2 to 8",
    "target.L=3.0": "target.L=3.0: must be an integer",
    "target.widths=[4]": "target.widths=[4]: must be a list of L-1 = 2 integers",
    "target.widths=[4,3,2]": "target.widths=[4, 3, 2]: must be a list of L-1 = 2 integers",
    "target.widths=[]": "target.widths=[]: must be a list of L-1 = 2 integers",
    "target.widths=4": "target.widths=4: must be a list of integers or null",
    "target.widths=[4,a]": "target.widths=[4, a]: must be a list of integers",
    "target.widths=[4,true]": "target.widths=[4, true]: must be a list of integers",
    "target.widths=[0,3]": "target.widths=[0, 3]: must be integers >= 1",
    "target.widths=[17,3]": "target.widths=[17, 3]: must be such that k_2 <= target.d = 16",
    "target.alpha=[1]": "target.alpha=[1.0]: must be a list of L-1 = 2 numbers",
    "target.alpha=[1,-1]": "target.alpha=[1.0, -1.0]: must be finite numbers > 0",
    "target.alpha=[1,nan]": "target.alpha=[1.0, nan]: must be finite numbers > 0",
    "target.alpha=[1,inf]": "target.alpha=[1.0, inf]: must be finite numbers > 0",
    "target.alpha=big": "target.alpha=big: must be a list of numbers or null",
    "target.gamma=0": "target.gamma=0.0: must be a number > 0",
    "target.gamma=-1": "target.gamma=-1.0: must be a number > 0",
    "target.gamma=nan": "target.gamma=nan: must be a number > 0",
    "target.gamma=null": "target.gamma=null: must be a number > 0",
    "target.gamma=1e999": "target.gamma=inf: must be a number > 0",
    "target.rho=1": "target.rho=1.0: must be a number in [0, 1)",
    "target.rho=-0.1": "target.rho=-0.1: must be a number in [0, 1)",
    "target.rho=nan": "target.rho=nan: must be a number in [0, 1)",
    "target.base=y": "target.base=y: must be x or x_squared",
    "target.base=x_sqared": "did you mean x_squared?",
    "target.links=sip": "target.links=sip: must be chain, skip, dense or a list of lists of integers; did you mean skip?",
    "target.links=[[0],[2,0],[3]]": "must be a list of L-1 = 2 lists",
    "target.links=[[1],[2]]": "target.links=[[1], [2]]: must be such that level 2 reads 0",
    "target.links=[[0],[2,5]]": "must be such that level 3 reads 2 and only levels from [0, 1, 2]",
    "target.links=[[0],[two]]": "target.links=[[0], [two]]: must be chain",
    "target.quadrature=10": "target.quadrature=10: must be an integer >= 4096",
    "learner.widths=[4]": "learner.widths=[4]: must be a list of L-1 = 2 integers",
    "learner.widths=[0,1]": "learner.widths=[0, 1]: must be a list of integers >= 1",
    "learner.widths=[4,3.5]": "learner.widths=[4, 3.5]: must be a list of integers",
    "learner.init=0": "learner.init=0.0: must be a number > 0",
    "learner.init=nan": "learner.init=nan: must be a number > 0",
    "learner.alpha=told": "learner.alpha=told: must be known or trained",
    "schedule.steps=0": "schedule.steps=0: must be an integer >= 1",
    "schedule.steps=1.5": "schedule.steps=1.5: must be an integer",
    "schedule.steps=1e3": "schedule.steps=1000.0: must be an integer",
    "schedule.check_every=0": "schedule.check_every=0: must be an integer >= 1",
    "schedule.patience=0": "schedule.patience=0: must be null or an integer >= 1",
    "schedule.name=3": "schedule.name=3: must be a text",
    "schedule.name=''": "schedule.name=: must be a name",
    "schedule.phases=[]": "schedule.phases=[]: must be at least one phase",
    "schedule.phases=3": "schedule.phases=3: must be a list of phases",
    "schedule.phases=[3]": "schedule.phases[0]=3: must be a phase",
    "schedule.phases=[{name:a}]": "schedule.phases[0].train: is missing; it must be a list of texts",
    "schedule.phases=[{trin:[bias]}]": "schedule.phases[0].trin: no such key; did you mean train?",
    "schedule.phases=[{train:[bias]},{train:[bias],foo:1}]": "schedule.phases[1].foo: no such key; allowed: each, frozen, name, penalties, times, train, until",
    "schedule.phases=[{train:[bias],times:2}]": "schedule.phases[0].times=2: must be a text",
    "schedule.phases=[{train:[bias],each:lvel}]": "schedule.phases.each=lvel: must be null, level, or a range of levels",
    "schedule.phases=[{train:[]}]": "must be at least one group",
    "schedule.phases=[{train:[level9]}]": "no parameter group level9 in this learner; did you mean level3? allowed: bias",
    'schedule.phases=[{train:["level{2..m}"]}]': "must be a sum of l (this level), L (the top), k (schedule.k) and integers",
    'schedule.phases=[{train:[level2],times:"0"}]': "must be positive",
    "schedule.phases=[{train:[level2]},{train:[level2]}]": "must be different for every phase",
    "optimizer.lr=0": "optimizer.lr=0.0: must be a number > 0",
    "optimizer.lr=nan": "optimizer.lr=nan: must be a number > 0",
    "optimizer.lr=inf": "optimizer.lr=inf: must be a number > 0",
    "optimizer.lr=fast": "optimizer.lr=fast: must be a number",
    "optimizer.lr=[0.1]": "optimizer.lr=[0.1]: must be a number",
    "optimizer.batch=0": "optimizer.batch=0: must be an integer from 1",
    "optimizer.batch=2000000": "optimizer.batch=2000000: must be an integer from 1 to 1048576",
    "optimizer.clip=0": "optimizer.clip=0.0: must be null or a number > 0",
    "optimizer.warmup=-1": "optimizer.warmup=-1: must be an integer >= 0",
    "optimizer.warmup=1000": "optimizer.warmup=1000: must be below the shortest phase, 1000 steps",
    "schedule.steps=50": "optimizer.warmup=100: must be below the shortest phase, 50 steps",
    "optimizer.decay=linear": "optimizer.decay=linear: must be cosine or constant",
    "optimizer.betas=[0.9]": "optimizer.betas=[0.9]: must be a list of 2 numbers",
    "optimizer.betas=[0.9,1]": "optimizer.betas=[0.9, 1.0]: must be two numbers in [0, 1)",
    "optimizer.betas=[0.9,nan]": "optimizer.betas=[0.9, nan]: must be two numbers in [0, 1)",
    "optimizer.eps=0": "optimizer.eps=0.0: must be a number > 0",
    "optimizer.eps=inf": "optimizer.eps=inf: must be",
    "optimizer=sgd optimizer.momentum=1": "optimizer.momentum=1.0: must be a number in [0, 1)",
    "optimizer=sgd optimizer.betas=[0.9,0.9]": "optimizer.betas: no such key;",
    "probe.rows=10": "probe.rows=10: must be an integer from 64",
    "probe.rows=10000000000": "probe.rows=10000000000: must be an integer from 64 to 16777216",
    "probe.rows=all": "probe.rows=all: must be an integer",
    "baseline=polynomial baseline.degree=0": "baseline.degree=0: must be auto or an integer >= 1",
    "baseline=polynomial baseline.offset=-1": "baseline.offset=-1.0: must be auto or a number >= 0",
    "baseline=polynomial baseline.ridge=-1": "baseline.ridge=-1.0: must be auto or a number >= 0",
    "baseline=polynomial baseline.ridge=atuo": "baseline.ridge=atuo: must be a number or auto; did you mean auto?",
    "baseline=polynomial baseline.ridge_grid=[]": "baseline.ridge_grid=[]: must be",
    "baseline=polynomial baseline.ridge_grid=[1,a]": "baseline.ridge_grid=[1, a]: must be a list of numbers",
    "baseline=polynomial baseline.n_max=4": "baseline.n_max=4: must be",
    "baseline=polynomial baseline.n_ratio=1": "baseline.n_ratio=1.0: must be",
    "baseline=polynomial baseline.tuning_draws=0": "baseline.tuning_draws=0: must be an integer >= 1",
    "baseline=polynomial baseline.tuning_eps=2": "baseline.tuning_eps=2.0: must be a number between 0 and 1",
    "baseline=rbf baseline.bandwidth=0": "baseline.bandwidth=0.0: must be auto or a number > 0",
    "baseline=laplace baseline.bandwidth=inf": "baseline.bandwidth=inf: must be auto or a number > 0",
    "baseline=ntk baseline.depth=1": "baseline.depth=1: must be auto or an integer >= 2",
    "measure.n=[]": "measure.n=[]: must be integers from 2 to 2147483647",
    "measure.n=[64,64]": "measure.n=[64, 64]: must be without repetition",
    "measure.n=[1]": "measure.n=[1]: must be integers from 2 to 2147483647",
    "measure.n=[-64]": "measure.n=[-64]: must be integers from 2 to 2147483647",
    "measure.n=[64,a]": "measure.n=[64, a]: must be a list of integers or an integer",
    "measure.n=null": "measure.n=null: must be a list of integers or an integer",
    "measure.n=64.5": "measure.n=64.5: must be a list of integers or an integer",
    "measure.seeds=0": "measure.seeds=0: must be a count >= 1 or a list of seeds >= 0",
    "measure.seeds=-3": "measure.seeds=-3: must be a count >= 1",
    "measure.seeds=[]": "measure.seeds=[]: must be a count >= 1",
    "measure.seeds=[1,1]": "measure.seeds=[1, 1]: must be without repetition",
    "measure.seeds=[-1]": "measure.seeds=[-1]: must be a count >= 1 or a list of seeds from 0 to 999999999",
    "measure.seeds=[a]": "measure.seeds=[a]: must be an integer or a list of integers",
    "measure.seeds=1.5": "measure.seeds=1.5: must be an integer or a list of integers",
    "measure.seeds=true": "measure.seeds=true: must be an integer or a list of integers",
    "measure.eps=[]": "measure.eps=[]: must be numbers between 0 and 1",
    "measure.eps=[0]": "measure.eps=[0.0]: must be numbers between 0 and 1",
    "measure.eps=1": "measure.eps=[1.0]: must be numbers between 0 and 1",
    "measure.eps=[0.1,2]": "measure.eps=[0.1, 2.0]: must be numbers between 0 and 1",
    "measure.eps=-0.1": "measure.eps=[-0.1]: must be numbers between 0 and 1",
    "measure.eps=nan": "measure.eps=[nan]: must be numbers between 0 and 1",
    "measure.eps=[small]": "measure.eps=[small]: must be",
    "measure.validation=outside": "measure.validation=outside: must be inside, free or none; did you mean inside?",
    "measure.validation_size=0": "measure.validation_size=0.0: must be a share in (0, 1) with measure.validation=inside",
    "measure.validation_size=500": "measure.validation_size=500.0: must be a share in (0, 1) with measure.validation=inside",
    "measure.validation=free": "measure.validation_size=0.2: must be an integer count >= 1 with measure.validation=free",
    "measure.validation=free measure.validation_size=1.5": "must be an integer count >= 1 with measure.validation=free",
    "measure.test=1": "measure.test=1: must be an integer from 16 to 16777216",
    "measure.test=1e9": "measure.test=1000000000.0: must be an integer",
    "measure.confirm=-1": "measure.confirm=-1: must be an integer from 0 to 1000",
    "measure=online": "optimizer.decay=cosine: must be constant with measure=online",
    "measure=online optimizer.decay=constant schedule.patience=3": "schedule.patience=3: must be null without validation",
    "measure=online measure.ratio=1": "measure.ratio=1.0: must be a number from 1.001 to 4",
    "measure=single measure.n=1": "measure.n=[1]: must be integers from 2 to 2147483647",
    "measure=single measure.n=frsh": "measure.n=frsh: must be an integer or fresh; did you mean fresh?",
    "tracker=wandb tracker.project=''": "tracker.project=: must be a project name",
    "tracker=wandb tracker.mode=onlin": "tracker.mode=onlin: must be auto, online, offline or disabled; did you mean online?",
    "compute.device=gpu": "compute.device=gpu: must be auto, cpu, cuda or cuda:<number>",
    "compute.device=cuda:x": "compute.device=cuda:x: must be auto, cpu, cuda or cuda:<number>",
    "compute.device=null": "compute.device=null: must be a text",
    "compute.dtype=float16": "compute.dtype=float16: must be float32 or float64",
    "compute.stack=0": "compute.stack=0: must be auto or an integer >= 1",
    "compute.stack=many": "compute.stack=many: must be an integer or auto",
    "compute.threads=0": "compute.threads=0: must be an integer from 1 to 1024",
    "compute.threads=5000": "compute.threads=5000: must be an integer from 1 to 1024",
    "compute.checkpoint_seconds=-1": "compute.checkpoint_seconds=-1.0: must be a number >= 0",
    "compute.checkpoint_seconds=nan": "compute.checkpoint_seconds=nan: must be a number >= 0",
    "results=''": "results=: must be a folder name",
    "results=null": "results=null: must be a folder name",
    "results=3": "results=3: must be a folder name",
    "study=3": "study=3: must be null or the study node of a file under sweeps/",
    "study={size:demo}": "must be null or the study node of a file under sweeps/, with a name",
    "learner=none": "learner=none and baseline=none: nothing to measure",
    "target=parity": "learner=quadratic_densenet: needs a target with composition levels",
    "optimizer=null": "optimizer=none: a learner needs one; allowed: adam, lion, sgd",
    "schedule=null": "schedule=none: a learner needs one; allowed:",
    "target=null": "target=none: every job needs one; allowed:",
    "measure=adaptive measure.rounds=0": "measure.rounds=0: must be an integer from 1 to 1000",
    "measure=adaptive measure.n_max=8": "measure.n_max=8: must be an integer above measure.n_min = 16",
    "measure=adaptive measure.prior=[5]": "measure.prior=",
    "measure=adaptive measure.prior=wide": "measure.prior=wide: must be",
    "measure.tune={lr:[],n:64}": "measure.tune.lr=[]: must be numbers > 0",
    "measure.tune={lr:[.1],n:1}": "measure.tune.n=1: must be 0 (fresh samples), an integer >= 2 or a list of such",
    "measure.tune={lr:[.1]}": "measure.tune.n: is missing; it must be a list of integers or an integer",
    "measure=online optimizer.decay=constant measure.validation=free": "measure.validation=free: must be none with measure=online",
    "measure=single measure.validation=free measure.validation_size=9": "must be none or left out with measure.n=fresh",
    "measure=null": "measure=none: every job needs one; allowed: adaptive, ladder, online, single",
    "target=7": "target=7: must be a group option with a _target_",
    "zzz=1": "zzz: no such key; allowed: baseline, compute",
    "lerner=1": "lerner: no such key; did you mean learner?",
    "target.dd=5": "target.dd: no such key; did you mean d? allowed: L, alpha, base, d, gamma",
    "~target.d": "target.d: is missing; it must be an integer",
    "~schedule.phases": "schedule.phases: is missing; it must be a list of phases",
    "~compute": "compute=none: every job needs one; allowed: default",
    "target._target_=os.system": "target._target_=os.system: must be a target class of this package",
    "tracker._target_=subprocess.Popen": "tracker._target_=subprocess.Popen: must be a tracker class of this package",
    "target._target_=bfcx.targets.Target": "must be a target class of this package",
    "target._target_=3": "target._target_=3: must be a target class of this package",
    "target._target_=bfc..x": "target._target_=bfc..x: no such class",
    "target._target_=bfc.nothing.Here": "target._target_=bfc.nothing.Here: no such class",
    "target._target_=bfc.targets.quadratic_densenet.QuadraticDensenet": "did you mean bfc.targets.quadratic_densenet.QuadraticDenseNet?",
    "target._target_=bfc.environment.subprocess": "is no target class of this package; allowed: bfc.targets",
    "target._target_=bfc.environment.environment": "is no target class of this package",
    "target._target_=bfc.errors.UserError": "is no target class of this package",
    "target._target_=bfc.experiment.cell_runner.CellResult": "is no target class of this package",
    "target._target_=bfc.experiment.job.Compute": "is no target class of this package",
    "target._target_=bfc.targets.quadratic_densenet.QuadraticDraw": "is no target class of this package",
    "target._target_=bfc.learners.quadratic_densenet.QuadraticDenseNet": "is no target class of this package",
    "measure._target_=bfc.measure.base.FixedMeasure": "is no measure class of this package",
    "optimizer._target_=bfc.optimizers.base.Optimizer": "is no optimizer class of this package",
    "baseline=rbf baseline._target_=bfc.baselines.ridge.KernelRidge": "is no baseline class of this package",
}

# What only Hydra sees, through the whole command line.
LINES = {
    "target.d=abc": "target.d=abc: must be an integer",
    "target.dd=5": "target.dd: no such key; did you mean d? allowed: L, alpha, base, d, gamma",
    "measure.sed=3": "measure.sed: no such key; did you mean seeds?",
    "+target.foo=1": "target.foo: no such key; allowed: L, alpha",
    "+foo=1": "foo: no such key; allowed: baseline, compute",
    "optimzer=adam": "optimzer: no such key; did you mean optimizer?",
    "~nothing": "nothing: no such key; allowed: baseline",
    "~target.foo": "target.foo: no such key; allowed: L, alpha",
    "~target": "target=none: every job needs one; allowed: ",
    "target=quadratc_densenet": "target=quadratc_densenet: no such option; did you mean quadratic_densenet?",
    "schedule=stagd": "schedule=stagd: no such option; did you mean staged? allowed: ",
    "+sweeps=nope": "sweeps=nope: no such option",
    "hydra/launcher=locl": "hydra/launcher=locl: no such option; did you mean local?",
    "hydra/sweeper=basc": "hydra/sweeper=basc: no such option; did you mean basic?",
    "target=none": "target=none: no such option; allowed: ",
    "target=3": "target=3: no such option; allowed: ",
    "target=null": "target=null: no such option; allowed: ",
    "target=[a,b]": "target=b: no such option; allowed: ",
    "learner=none": "learner=none and baseline=none: nothing to measure",
    "target.d": "target.d: cannot be read as an override; must be key=value",
    "=3": "=3: has no key; must be key=value",
    "target.d=[1,": "target.d=[1,: cannot be read as an override",
    "target.d={": "target.d={: cannot be read as an override",
    "target.d=5,6": "target.d=5,6: is more than one value; must be one, a list as target.d=[5,6], or a sweep with -m",
    "'target.d=range(3)'": "target.d=range(3): is a sweep; must be one value, or a sweep with -m",
    "'target.d=${foo}'": "target.d: Interpolation key 'foo' not found",
    "'target.d=${target.d}'": "target.d: Recursive interpolation",
    "'target.d=${oc.env:BFC_IS_NOT_SET}'": "Environment variable 'BFC_IS_NOT_SET' not found",
    "target._target_=os.system": "target._target_=os.system: must be a target class of this package",
    "-m target.d=8,abc": "target.d=abc: must be an integer",
    "-m target.d=4,8 optimizer.warmup=2,5000": "optimizer.warmup=5000: must be below the shortest phase",
    "-m 'target.d=interval(1,2)'": "target.d=interval(1,2): must be a list of values or a range",
    "-m schedule=staged,stagd": "schedule=stagd: no such option; did you mean staged?",
    "-m +target.foo=1,2": "target.foo: no such key",
    "-m hydra.sweeper.max_batch_size=0": "hydra.sweeper.max_batch_size=0: must be null or an integer >= 1",
    "-m hydra.sweeper.max_batch_size=few": "hydra.sweeper.max_batch_size=few: must be null or an integer >= 1",
    "-m +hydra.sweeper.foo=3": "hydra.sweeper.foo: no such key; allowed: max_batch_size, params",
    "-m hydra.launcher.processes=0": "hydra.launcher.processes=0: must be null (one per usable core) or an integer",
    "-m hydra.launcher.processes=two": "hydra.launcher.processes=two: must be an integer or null",
    "-m hydra.launcher.proceses=2": "hydra.launcher.proceses: no such key; did you mean processes?",
    "-m study={name:a}": "study: must hold a name, a size and the sizes of a file under sweeps/",
    "--config-name nope": "Cannot find primary config 'nope'",
    "--config-dir /nope": "Additional config directory '/nope' not found",
}


def load(line: str) -> Job:
    """What ``load_job`` says to overrides applied to the composed job."""
    overrides = OverridesParser.create().parse_overrides(line.split())
    groups = [
        o
        for o in overrides
        if o.key_or_group in GROUPS and isinstance(o.value(), str) and not o.is_delete()
    ]
    values = container(*(f"{o.key_or_group}={o.value()}" for o in groups))
    for override in overrides:
        if override in groups:
            continue
        *path, last = override.key_or_group.split(".")
        node = values
        for key in path:
            node = node[key]
        if override.is_delete():
            del node[last]
        else:
            node[last] = override.value()
    return load_job(values)


@pytest.mark.parametrize("line", VALUES)
def test_a_bad_value_is_refused_with_its_key_value_and_range(line: str) -> None:
    with pytest.raises(UserError) as refused:
        load(line)
    assert VALUES[line] in str(refused.value)


@pytest.mark.parametrize("line", LINES)
def test_a_bad_command_line_is_one_sentence_and_leaves_nothing(line: str, tmp_path) -> None:
    sentence = run(*shlex.split(line), cwd=tmp_path).sentence
    assert LINES[line] in sentence
    assert not list(tmp_path.iterdir())


def test_the_composed_job_itself_is_accepted() -> None:
    """Otherwise the refusals above would prove nothing."""
    assert load("target.d=16").target.d == 16
    assert load("baseline=polynomial").baseline.degree == 4


GARBAGE = [
    float("nan"),
    float("inf"),
    float("-inf"),
    -1,
    0,
    1,
    1.5,
    10**30,
    -(10**30),
    1e308,
    "",
    " ",
    "abc",
    "../..",
    None,
    True,
    [],
    {},
    [None],
    [[]],
    [[[1]]],
    {"a": 1},
    [1, "a"],
    [float("nan")],
    [-1],
    ["é\n"],
    list(range(100)),
]


@pytest.mark.parametrize("group", GROUPS)
def test_every_key_of_every_component_takes_any_garbage_without_a_fault(group: str, node) -> None:
    """A key may like a value or not, but only in one sentence that names the group; a component
    added later is tried as well."""
    options = [name for name in node_names(group) if node(group, name).get("_target_")]
    refusals = 0
    for option in options:
        whole = container() if group == "compute" else container(f"{group}={option}")
        for key in whole[group]:
            for value in GARBAGE:
                trial = {**whole[group], key: value}
                try:
                    if component(group, trial) is not None:
                        load_job({**whole, group: trial})
                except UserError as error:
                    refusals += 1
                    assert len(str(error)) < 2500
                    assert any(
                        name in str(error) for name in (group, "learner=", "schedule", "optimizer.")
                    ), (option, key, value, error)
    assert refusals > 10 or not options


def node_names(group: str) -> list[str]:
    from bfc.hydra_plugins.hydra_errors import list_options

    return sorted(list_options(group))


def test_every_numeric_key_refuses_a_text_a_list_and_not_a_number(node) -> None:
    tried = 0
    for group in GROUPS:
        for option in node_names(group):
            path = node(group, option).get("_target_")
            if not path:
                continue
            cls = type(component(group, node(group, option)))
            hints = typing.get_type_hints(cls)
            for field in dataclasses.fields(cls):
                if hints[field.name] not in (int, float, int | None, float | None):
                    continue
                for value in ("text", [1], float("nan"), float("inf"), {}):
                    with pytest.raises(UserError, match=rf"{group}\.{field.name}="):
                        component(group, {**node(group, option), field.name: value})
                        pytest.fail(f"{group}={option}: {field.name}={value} was accepted")
                    tried += 1
    assert tried > 100


def test_a_gpu_that_torch_does_not_see_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sentence = run(*TINY, "compute.device=cuda", cwd=tmp_path).sentence
    assert (
        "compute.device=cuda: torch" in sentence
        and "sees no GPU" in sentence
        and "compute.device=cpu" in sentence
    )
    assert (
        "compute.device=cuda:1: torch" in run(*TINY, "compute.device=cuda:1", cwd=tmp_path).sentence
    )
    assert not list(tmp_path.iterdir())


def test_a_gpu_that_slurm_granted_and_torch_does_not_see_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    sentence = run(*TINY, "compute.device=auto", cwd=tmp_path).sentence
    assert "SLURM granted GPU 3 but torch" in sentence and "set compute.device=cpu" in sentence
    assert not list(tmp_path.iterdir())
    assert resolve_device("cpu").type == "cpu"
    for nothing in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert resolve_device("auto").type == "cpu"


def test_a_gpu_beyond_those_there_are_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"compute\.device=cuda:9: must be below cuda:2"):
        resolve_device("cuda:9")
    assert str(resolve_device("cuda:1")) == "cuda:1" and str(resolve_device("auto")) == "cuda"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nMore advice"),
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
        ),
    ],
)
def test_where_memory_does_not_suffice_it_says_what_to_make_smaller(
    error: Exception, tmp_path, monkeypatch
) -> None:
    def full(*_, **__):
        raise error

    monkeypatch.setattr("bfc.engine.stack_request.train", full)
    sentence = run(*TINY, cwd=tmp_path).sentence
    assert (
        sentence.startswith("memory does not suffice (")
        and "compute.stack" in sentence
        and "must be smaller" in sentence
    )
    monkeypatch.undo()
    assert "4 rows stored, 4 new" in run(*TINY, cwd=tmp_path).out


def test_results_must_be_a_folder(tmp_path) -> None:
    (tmp_path / "taken").write_text("mine")
    for arguments in (["results=taken"], ["results=taken/below"], ["-m", "results=taken"]):
        assert (
            "must be a folder, and taken is none" in run(*TINY, *arguments, cwd=tmp_path).sentence
        )
    (tmp_path / "dangling").symlink_to("nowhere")
    assert (
        "results=dangling: must be a folder"
        in run(*TINY, "results=dangling", cwd=tmp_path).sentence
    )
    assert {path.name for path in tmp_path.iterdir()} == {"taken", "dangling"} and (
        tmp_path / "taken"
    ).read_text() == "mine"


def test_results_that_cannot_be_written_are_refused(tmp_path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    if os.getuid() == 0:
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(locked)], capture_output=True
        ).returncode:
            pytest.skip(
                "root writes everywhere, and mounting a read-only file system is not allowed here"
            )
    else:
        locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        sentence = run(*TINY, "results=locked/results", cwd=tmp_path).sentence
        assert "locked/results" in sentence and "cannot be written (" in sentence
        assert not list(locked.iterdir())
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", str(locked)], check=True)
        else:
            locked.chmod(stat.S_IRWXU)


def test_one_bad_cell_of_a_sweep_stops_all_of_it_before_anything_is_trained(tmp_path) -> None:
    """As a process, since workers would be processes too."""
    done = process("-m", *TINY, "target.d=4,5,6", "target.widths=[4,2],[9,2]", cwd=tmp_path)
    assert done.sentence == "target.widths=[9, 2]: must be such that k_2 <= target.d = 4"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["target.d=abc"], "target.d=abc: must be an integer"),
        (["target.d=${foo}"], "target.d: Interpolation key 'foo' not found"),
        (
            ["hydra.launcher.x=1"],
            "hydra.launcher.x: no such key; allowed: ask_above, confirmed, detach, dry_run",
        ),
    ],
)
def test_a_real_process_says_it_too(arguments: list[str], expected: str, tmp_path) -> None:
    done = process(*arguments, cwd=tmp_path, HYDRA_FULL_ERROR="0")
    assert expected in done.sentence
    assert not list(tmp_path.iterdir())


def test_a_hostile_class_in_a_stored_configuration_is_never_run(tmp_path) -> None:
    """A stored config.yaml is never instantiated; whoever runs one as a configuration is refused."""
    hostile = tmp_path / "results" / "0123"
    hostile.mkdir(parents=True)
    (hostile / "config.yaml").write_text(
        "target: {_target_: os.system, command: touch pwned}\nlearner: {_target_: builtins.eval}\n"
    )
    (hostile / "object.yaml").write_text(
        "target: !!python/object/apply:os.system ['touch pwned']\n"
    )
    mine = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none")
    sentences = [
        run("--config-path", str(hostile), *mine, cwd=tmp_path).sentence,
        run("--config-path", str(hostile), "--config-name", "object", cwd=tmp_path).sentence,
        run("--config-dir", str(hostile), "--config-name", "object", cwd=tmp_path).sentence,
    ]
    assert "target._target_=os.system: must be a target class of this package" in sentences[0]
    assert all(
        "object.yaml" in sentence or "python/object" in sentence for sentence in sentences[1:]
    )
    assert {path.name for path in tmp_path.iterdir()} == {"results"} and len(
        list(hostile.iterdir())
    ) == 2


def test_the_environment_of_the_processes_holds_no_key() -> None:
    assert not [name for name in environment() if name.startswith("WANDB_")]
