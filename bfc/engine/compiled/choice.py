"""Whether a stack takes its steps by generated code.

A stack does so in all its stages or in none. What is decided follows from shapes, numbers of steps
and the machine, never from a clock; where a stack could gain but cannot be compiled, one line says
why.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING

from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.recipe import Recipe
from bfc.learners.groups import list_parameters
from bfc.types import Draw, Params, Stage

_log = logging.getLogger(__name__)

WORK_PER_REPLICA = 250_000
"""Parameters times rows of a batch, per replica of a group, up to which generated code is faster.

A group takes as long with idle lanes, and the plain path longer with every replica: code gains for
a single replica of a quadratic network, for six of a perceptron of 20,000 parameters.
"""
GROUP = 16
"""Replicas from which no lane is idle, on processors with the widest registers."""
FEWEST = 8
"""Replicas up to which a step operation by operation takes about as long, most of it in calls."""
MIN_REPLICA_STEPS = 15_000
"""Replica-steps per stage that code has to save: fewer take less time than compiling."""
MAX_PARAMETERS = 25_000
"""Parameters of a network up to which its steps are compiled: larger ones leave the cache."""
MAX_BATCH = 60_000
"""Numbers of a batch up to which steps are compiled, for the same reason."""

if TYPE_CHECKING:
    from bfc.engine.compiled.compilation import CompiledStep


def compiled_steps(
    recipe: Recipe,
    stages: Sequence[Stage],
    groups: Mapping[str, Sequence[str]],
    params: Params,
    has_multiplier: bool,
    is_resumed: bool | None,
    draw: Draw | None,
) -> list[CompiledStep] | None:
    """The code of every stage, or None where the stack takes its steps operation by operation.

    ``is_resumed``: whether a stack that goes on was compiled so far; None: it begins. ``draw`` are
    the draws whose rows are fresh; None: they are read from a pool.
    """
    replicas = len(next(iter(params.values())))
    if not _is_wanted(recipe, params, replicas, is_resumed):
        return None

    def compile_all(draw: Draw | None) -> list[CompiledStep]:
        return [_compile(recipe, stage, groups, params, has_multiplier, draw) for stage in stages]

    if draw is not None:
        with suppress(CannotCompile):  # then torch draws the rows
            return compile_all(draw)
    try:
        return compile_all(None)
    except CannotCompile as reason:
        _say_once(f"{type(recipe.learner).__name__}: runs operation by operation, since {reason}")
        return None


def may_compile(recipe: Recipe, num_parameters: int) -> bool:
    """Whether large enough stacks of a recipe are compiled, as far as can be told without trying.

    Generated code is fastest where all lanes are in use, whatever the network.
    """
    if recipe.compile == "never" or recipe.device.type != "cpu":
        return False
    if importlib.util.find_spec("llvmlite") is None:
        return False
    if recipe.compile == "always":
        return True
    batch = recipe.optimizer.batch * recipe.target.input_width
    is_small = num_parameters <= MAX_PARAMETERS and batch <= MAX_BATCH
    return is_small and _work(recipe, num_parameters) <= GROUP * WORK_PER_REPLICA


def expects_code(recipe: Recipe, num_parameters: int, replicas: int) -> bool:
    """Whether a new stack of so many replicas is compiled, as far as can be told without trying."""
    if not may_compile(recipe, num_parameters):
        return False
    if recipe.compile == "always":
        return True
    share_of_time = _work(recipe, num_parameters) / (min(replicas, GROUP) * WORK_PER_REPLICA)
    saved = (1 - share_of_time) * max(replicas, FEWEST) * recipe.total_steps()
    return saved >= MIN_REPLICA_STEPS * len(recipe.stages())


def _work(recipe: Recipe, num_parameters: int) -> int:
    """What the products of a step of one replica are proportional to."""
    return num_parameters * recipe.optimizer.batch


def _is_wanted(recipe: Recipe, params: Params, replicas: int, is_resumed: bool | None) -> bool:
    if is_resumed is not None:
        return is_resumed
    if recipe.compile != "auto":
        return recipe.compile == "always"
    return expects_code(recipe, sum(prod(p.shape[1:]) for p in params.values()), replicas)


def _compile(
    recipe: Recipe,
    stage: Stage,
    groups: Mapping[str, Sequence[str]],
    params: Params,
    has_multiplier: bool,
    draw: Draw | None,
) -> CompiledStep:
    from bfc.engine.compiled.compilation import compiled_step  # the plain path needs none of it

    trained = list_parameters(groups, stage.train)
    shapes = StepShapes.of(recipe, params, trained, has_multiplier)
    return compiled_step(recipe, stage, shapes, draw)


@functools.cache
def _say_once(line: str) -> None:
    _log.info(line)
