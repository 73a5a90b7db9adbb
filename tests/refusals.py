"""Invalid overrides and what their error messages must contain.

The tables are tested in test_bad_input.py.
"""

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
    "target.d=99999999999999999999999999": (
        "target.d=99999999999999999999999999: must be an integer from 1"
    ),
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
    "target.links=sip": (
        "target.links=sip: must be chain, skip, dense or a list of lists of integers; did you mean "
        "skip?"
    ),
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
    "schedule.phases=[{name:a}]": (
        "schedule.phases[0].train: is missing; it must be a list of texts"
    ),
    "schedule.phases=[{trin:[bias]}]": "schedule.phases[0].trin: no such key; did you mean train?",
    "schedule.phases=[{train:[bias]},{train:[bias],foo:1}]": (
        "schedule.phases[1].foo: no such key; allowed: each, frozen, name, penalties, times, "
        "train, until"
    ),
    "schedule.phases=[{train:[bias],times:2}]": "schedule.phases[0].times=2: must be a text",
    "schedule.phases=[{train:[bias],each:lvel}]": (
        "schedule.phases.each=lvel: must be null, level, or a range of levels"
    ),
    "schedule.phases=[{train:[]}]": "must be at least one group",
    "schedule.phases=[{train:[level9]}]": (
        "no parameter group level9 in this learner; did you mean level3? allowed: bias"
    ),
    'schedule.phases=[{train:["level{2..m}"]}]': (
        "must be a sum of l (this level), L (the top), k (schedule.k) and integers"
    ),
    'schedule.phases=[{train:[level2],times:"0"}]': "must be positive",
    "schedule.phases=[{train:[level2]},{train:[level2]}]": "must be different for every phase",
    "optimizer.lr=0": "optimizer.lr=0.0: must be a number > 0",
    "optimizer.lr=nan": "optimizer.lr=nan: must be a number > 0",
    "optimizer.lr=inf": "optimizer.lr=inf: must be a number > 0",
    "optimizer.lr=fast": "optimizer.lr=fast: must be a number",
    "optimizer.lr='0.01'": "optimizer.lr='0.01': must be a number; must be written without quotes",
    "optimizer.lr='1e-3'": "optimizer.lr='1e-3': must be a number; must be written without quotes",
    "optimizer.lr=1%": "optimizer.lr=1%: must be a number",
    "optimizer.clip='null'": "optimizer.clip='null': must be a number or null; must be written",
    "optimizer.clip=null optimizer.lr=true": "optimizer.lr=true: must be a number",
    "measure.n=['32']": "measure.n=['32']: must be a list of integers or an integer",
    "measure.n=[1,024]": "measure.n=[1, '024']: must be a list of integers or an integer",
    "measure.n='[32]'": "measure.n='[32]': must be a list of integers or an integer",
    "measure.eps=['0.1']": "measure.eps=['0.1']: must be a list of numbers or a number",
    "compute.threads='1'": "compute.threads='1': must be an integer; must be written",
    "target.d=016": "target.d='016': must be an integer",
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
    "baseline=polynomial baseline.ridge=atuo": (
        "baseline.ridge=atuo: must be a number or auto; did you mean auto?"
    ),
    "baseline=polynomial baseline.ridge_grid=[]": "baseline.ridge_grid=[]: must be",
    "baseline=polynomial baseline.ridge_grid=[1,a]": (
        "baseline.ridge_grid=[1, a]: must be a list of numbers"
    ),
    "baseline=polynomial baseline.n_max=4": "baseline.n_max=4: must be",
    "baseline=polynomial baseline.n_ratio=1": "baseline.n_ratio=1.0: must be",
    "baseline=polynomial baseline.tuning_draws=0": (
        "baseline.tuning_draws=0: must be an integer >= 1"
    ),
    "baseline=polynomial baseline.tuning_eps=2": (
        "baseline.tuning_eps=2.0: must be a number between 0 and 1"
    ),
    "baseline=rbf baseline.bandwidth=0": "baseline.bandwidth=0.0: must be auto or a number > 0",
    "baseline=laplace baseline.bandwidth=inf": (
        "baseline.bandwidth=inf: must be auto or a number > 0"
    ),
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
    "measure.seeds=[-1]": (
        "measure.seeds=[-1]: must be a count >= 1 or a list of seeds from 0 to 999999999"
    ),
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
    "measure.validation=outside": (
        "measure.validation=outside: must be inside, free or none; did you mean inside?"
    ),
    "measure.validation_size=0": (
        "measure.validation_size=0.0: must be a share in (0, 1) with measure.validation=inside"
    ),
    "measure.validation_size=500": (
        "measure.validation_size=500.0: must be a share in (0, 1) with measure.validation=inside"
    ),
    "measure.validation=free": (
        "measure.validation_size=0.2: must be an integer count >= 1 with measure.validation=free"
    ),
    "measure.validation=free measure.validation_size=1.5": (
        "must be an integer count >= 1 with measure.validation=free"
    ),
    "measure.test=1": "measure.test=1: must be an integer from 16 to 16777216",
    "measure.test=1e9": "measure.test=1000000000.0: must be an integer",
    "measure.confirm=-1": "measure.confirm=-1: must be an integer from 0 to 1000",
    "measure=online": "optimizer.decay=cosine: must be constant with measure=online",
    "measure=online optimizer.decay=constant schedule.patience=3": (
        "schedule.patience=3: must be null without validation"
    ),
    "measure=online measure.ratio=1": "measure.ratio=1.0: must be a number from 1.001 to 4",
    "measure=single measure.n=1": "measure.n=[1]: must be integers from 2 to 2147483647",
    "measure=single measure.n=frsh": (
        "measure.n=frsh: must be an integer or fresh; did you mean fresh?"
    ),
    "tracker=wandb tracker.project=''": "tracker.project=: must be a project name",
    "tracker=wandb tracker.mode=onlin": (
        "tracker.mode=onlin: must be auto, online, offline or disabled; did you mean online?"
    ),
    "compute.device=gpu": "compute.device=gpu: must be auto, cpu, cuda or cuda:<number>",
    "compute.device=cuda:x": "compute.device=cuda:x: must be auto, cpu, cuda or cuda:<number>",
    "compute.device=null": "compute.device=null: must be a text",
    "compute.dtype=float16": "compute.dtype=float16: must be float32 or float64",
    "compute.compile=maybe": "compute.compile=maybe: must be auto, never or always",
    "compute.stack=0": "compute.stack=0: must be auto or an integer >= 1",
    "compute.stack=many": "compute.stack=many: must be an integer or auto",
    "compute.threads=0": "compute.threads=0: must be an integer from 1 to 1024",
    "compute.threads=5000": "compute.threads=5000: must be an integer from 1 to 1024",
    "compute.checkpoint_seconds=-1": "compute.checkpoint_seconds=-1.0: must be a number >= 0",
    "compute.checkpoint_seconds=nan": "compute.checkpoint_seconds=nan: must be a number >= 0",
    "results=''": "results=: must be a folder name",
    "results=null": "results=null: must be a folder name",
    "results=3": "results=3: must be a folder name; a number is one in quotes, or after ./",
    "tracker=wandb tracker.directory=3": (
        "tracker.directory=3: must be a text or null; a text that looks like another type must be "
        "written in quotes"
    ),
    "study=3": "study=3: must be null or the study node of a file under sweeps/",
    "study={size:demo}": "must be null or the study node of a file under sweeps/, with a name",
    "learner=none": "learner=none and baseline=none: nothing to measure",
    "target=parity": "learner=quadratic_densenet: needs a target with composition levels",
    "optimizer=null": "optimizer=none: a learner needs one; allowed: adam, lion, sgd",
    "schedule=null": "schedule=none: a learner needs one; allowed:",
    "target=null": "target=none: every job needs one; allowed:",
    "measure=adaptive measure.rounds=0": "measure.rounds=0: must be an integer from 1 to 1000",
    "measure=adaptive measure.n_max=8": (
        "measure.n_max=8: must be an integer above measure.n_min = 16"
    ),
    "measure=adaptive measure.prior=[5]": "measure.prior=",
    "measure=adaptive measure.prior=wide": "measure.prior=wide: must be",
    "measure.tune={lr:[],n:64}": "measure.tune.lr=[]: must be numbers > 0",
    "measure.tune={lr:[.1],n:1}": (
        "measure.tune.n=1: must be 0 (fresh samples), an integer >= 2 or a list of such"
    ),
    "measure.tune={lr:[.1]}": (
        "measure.tune.n: is missing; it must be a list of integers or an integer"
    ),
    "measure=online optimizer.decay=constant measure.validation=free": (
        "measure.validation=free: must be none with measure=online"
    ),
    "measure=single measure.validation=free measure.validation_size=9": (
        "must be none or left out with measure.n=fresh"
    ),
    "measure=null": "measure=none: every job needs one; allowed: adaptive, ladder, online, single",
    "target=7": "target=7: must be a group option with a _target_",
    "zzz=1": "zzz: no such key; allowed: baseline, compute",
    "lerner=1": "lerner: no such key; did you mean learner?",
    "target.dd=5": "target.dd: no such key; did you mean d? allowed: L, alpha, base, d, gamma",
    "~target.d": "target.d: is missing; it must be an integer",
    "~schedule.phases": "schedule.phases: is missing; it must be a list of phases",
    "~compute": "compute=none: every job needs one; allowed: default",
    "target._target_=os.system": (
        "target._target_=os.system: must be a target class of this package"
    ),
    "tracker._target_=subprocess.Popen": (
        "tracker._target_=subprocess.Popen: must be a tracker class of this package"
    ),
    "target._target_=bfcx.targets.Target": "must be a target class of this package",
    "target._target_=3": "target._target_=3: must be a target class of this package",
    "target._target_=bfc..x": "target._target_=bfc..x: no such class",
    "target._target_=bfc.nothing.Here": "target._target_=bfc.nothing.Here: no such class",
    "target._target_=bfc.targets.quadratic_densenet.QuadraticDensenet": (
        "did you mean bfc.targets.quadratic_densenet.QuadraticDenseNet?"
    ),
    "target._target_=bfc.environment.subprocess": (
        "is no target class of this package; allowed: bfc.targets"
    ),
    "target._target_=bfc.environment.environment": "is no target class of this package",
    "target._target_=bfc.errors.UserError": "is no target class of this package",
    "target._target_=bfc.experiment.cell_runner.CellResult": "is no target class of this package",
    "target._target_=bfc.experiment.job.Compute": "is no target class of this package",
    "target._target_=bfc.targets.quadratic_densenet.QuadraticDraw": (
        "is no target class of this package"
    ),
    "target._target_=bfc.learners.quadratic_densenet.QuadraticDenseNet": (
        "is no target class of this package"
    ),
    "measure._target_=bfc.measure.base.FixedMeasure": "is no measure class of this package",
    "optimizer._target_=bfc.optimizers.base.Optimizer": "is no optimizer class of this package",
    "baseline=rbf baseline._target_=bfc.baselines.ridge.KernelRidge": (
        "is no baseline class of this package"
    ),
}
"""Overrides → part of the message.

They go through Hydra's parser and the checks of the job, without a composition of their own.
"""

LINES = {
    "target.d=abc": "target.d=abc: must be an integer",
    "target.dd=5": "target.dd: no such key; did you mean d? allowed: L, alpha, base, d, gamma",
    "measure.sed=3": "measure.sed: no such key; did you mean seeds?",
    "+target.foo=1": "target.foo: no such key; allowed: L, alpha",
    "+foo=1": "foo: no such key; allowed: baseline, compute",
    "optimzer=adam": "optimzer: no such key; did you mean optimizer?",
    "+target.d=4": "+target.d=4: target.d is there already; must be written target.d=4, without +",
    "~target.d=99": "~target.d=99: target.d is 16; must be ~target.d to remove it",
    "~target=parity": "~target=parity: target is quadratic_densenet; must be a group that has",
    "+optimizer=sgd": "+optimizer=sgd: optimizer is there already; must be written optimizer=sgd",
    "+target=parity": "+target=parity: target is there already; must be written target=parity",
    "+sweeps=bfc_chain +sweeps=bfc_depth": (
        "+sweeps=bfc_chain +sweeps=bfc_depth: sweeps is given 2 times; must be given once"
    ),
    "target={a:1}": "target={a:1}: must be the name of an option; allowed: hierarchy, images, ",
    "target=[parity,radial]": (
        "target=[parity,radial]: is a list of options; must be one option, or a sweep with -m as "
        "target=parity,radial"
    ),
    "optimizer.lr=0,01": "or a sweep with -m; decimals have a point",
    "study.size=demo": "study.size: no such key without a study; must come with +sweeps=<study>",
    "~nothing": "nothing: no such key; allowed: baseline",
    "~target.foo": "target.foo: no such key; allowed: L, alpha",
    "~target": "target=none: every job needs one; allowed: ",
    "target=quadratc_densenet": (
        "target=quadratc_densenet: no such option; did you mean quadratic_densenet?"
    ),
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
    "target.d=5,6": (
        "target.d=5,6: is more than one value; must be one, a list as target.d=[5,6], or a sweep "
        "with -m"
    ),
    "'target.d=range(3)'": "target.d=range(3): is a sweep; must be one value, or a sweep with -m",
    "'target.d=${foo}'": "target.d: Interpolation key 'foo' not found",
    "'target.d=${target.d}'": "target.d: Recursive interpolation",
    "'target.d=${oc.env:BFC_IS_NOT_SET}'": "Environment variable 'BFC_IS_NOT_SET' not found",
    "target._target_=os.system": (
        "target._target_=os.system: must be a target class of this package"
    ),
    "-m target.d=8,abc": "target.d=abc: must be an integer",
    "-m target.d=4,8 optimizer.warmup=2,5000": (
        "optimizer.warmup=5000: must be below the shortest phase"
    ),
    "-m 'target.d=interval(1,2)'": "target.d=interval(1,2): must be a list of values or a range",
    "-m 'target.d=range(4,9,0)'": "target.d=range(4,9,0): must have a step that is not 0",
    "-m 'target.d=range(9,4)'": "target.d=range(9,4): holds no value; must hold at least one",
    "-m target='glob(zzz*)'": "target=glob(zzz*): holds no value; must hold at least one",
    "-m target=quadratic_densenet,parity target.L=3": (
        "target.L: no such key with target=parity, only with target=hierarchy or "
        "quadratic_densenet or random_polynomial; allowed: d, degree, law"
    ),
    "-m target=parity,quadratic_densenet target.L=3": "target.L: no such key with target=parity",
    "target=hierarchy target.d=16": (
        "target.d: no such key with target=hierarchy; d is s^L, and (s (sparse + 1))^L with empty "
        "cells; change target.L, s or sparse"
    ),
    "target=images target.d=16": "target.d: no such key with target=images; d is the number of",
    "-m optimizer=sgd,adam optimizer.betas=[0.9,0.99]": (
        "optimizer.betas: no such key with optimizer=sgd, only with optimizer=adam or lion"
    ),
    "-m +target.d=4,8": "+target.d=4: target.d is there already; must be written target.d=4",
    "-m target=[parity,radial],parity": "target=[parity,radial]: is a list of options",
    "-m +sweeps=bfc_chain study.size=": "study.size=: no such size; allowed: 30m, 4h, demo, full",
    "-m +sweeps=bfc_chain study.size=[demo]": (
        "study.size=[demo]: must be the name of one size; allowed: 30m, 4h, demo, full"
    ),
    "-m +sweeps=bfc_chain study.size={a:1}": "must be the name of one size; allowed: 30m",
    "-m +sweeps=bfc_chain study.size=null": "study.size=null: must be the name of one size",
    "-m schedule=staged,stagd": "schedule=stagd: no such option; did you mean staged?",
    "-m +target.foo=1,2": "target.foo: no such key",
    "-m hydra.sweeper.max_batch_size=0": (
        "hydra.sweeper.max_batch_size=0: must be null or an integer >= 1"
    ),
    "-m hydra.sweeper.max_batch_size=few": (
        "hydra.sweeper.max_batch_size=few: must be null or an integer >= 1"
    ),
    "-m +hydra.sweeper.foo=3": "hydra.sweeper.foo: no such key; allowed: max_batch_size, params",
    "-m hydra.launcher.processes=0": (
        "hydra.launcher.processes=0: must be null (one per usable core) or an integer"
    ),
    "-m hydra.launcher.processes=two": "hydra.launcher.processes=two: must be an integer or null",
    "-m hydra.launcher.proceses=2": "hydra.launcher.proceses: no such key; did you mean processes?",
    "-m study={name:a}": "study: must hold a name, a size and the sizes of a file under sweeps/",
    "--config-name nope": "Cannot find primary config 'nope'",
    "--config-dir /nope": "Additional config directory '/nope' not found",
}
"""Command lines → part of the message, where only Hydra sees the fault."""
