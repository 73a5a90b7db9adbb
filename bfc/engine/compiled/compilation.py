"""From a recipe and a stage to code that can be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from bfc.engine.compiled.cache import cached
from bfc.engine.compiled.hardware import Hardware, LoadedCode
from bfc.engine.compiled.program import Program
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.scalars import ScalarProgram
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.step_code import Layout, StepCode
from bfc.engine.recipe import Recipe
from bfc.types import Draw, Stage


@dataclass(frozen=True)
class CompiledStep:
    """The step of one stage as code that can be called."""

    shapes: StepShapes
    layout: Layout
    scalars: ScalarProgram
    group_size: int
    runs_groups_at_once: bool
    loaded: LoadedCode


_steps: dict[str, CompiledStep] = {}


def compiled_step(
    recipe: Recipe, stage: Stage, shapes: StepShapes, draw: Draw | None = None
) -> CompiledStep:
    """The compiled step of a stage, made once per process.

    It draws fresh rows of ``draw`` itself; None: it reads rows from a pool. Raises
    :class:`CannotCompile` where there is no such code.
    """
    target = hardware(recipe.device)
    rows = None
    if draw is not None:
        from bfc.engine.compiled.drawing import trace_rows  # steps that read a pool need none of it

        rows, drawn = trace_rows(draw, shapes.rows, recipe.dtype, recipe.device)
        shapes = replace(shapes, drawn=drawn)
    key = step_key(recipe, stage, shapes)
    return _load(key, recipe, shapes, lambda: make_code(recipe, stage, shapes, target, rows))


def compiled_statistics(
    recipe: Recipe, present: frozenset[str], shapes: StepShapes
) -> CompiledStep:
    """The learner's statistics on rows of a pool as a step that trains them.

    Raises :class:`CannotCompile` where there is no such code.
    """
    parts = (recipe.learner, recipe.dtype, str(recipe.device), sorted(present), shapes)
    key = repr(("statistics", *parts))
    return _load(key, recipe, shapes, lambda: _make_statistics_code(recipe, present, shapes))


def _load(
    key: str, recipe: Recipe, shapes: StepShapes, make: Callable[[], StepCode]
) -> CompiledStep:
    """The code of this key, from this process, from disk or made now."""
    if key not in _steps:
        target = hardware(recipe.device)
        code = cached(key, recipe, target, make)
        _steps[key] = CompiledStep(
            shapes,
            code.layout,
            code.scalars,
            target.group_size(recipe.dtype),
            target.runs_groups_at_once,
            target.load(code.content, recipe.dtype),
        )
    return _steps[key]


def hardware(device: torch.device) -> Hardware:
    """What code for a device is generated for; what that takes is imported for this device only."""
    if device.type == "cpu":
        from bfc.engine.compiled.machine import processor

        return processor()
    if device.type == "cuda":
        from bfc.engine.compiled.blocks.gpu import Gpu

        return Gpu(device)
    raise CannotCompile(f"there is no compiled form for {device.type}")


def step_key(recipe: Recipe, stage: Stage, shapes: StepShapes) -> str:
    """Equal for steps that have the same code: all that enters it but the learning rate."""
    target = recipe.target
    return repr(
        (
            recipe.learner,
            recipe.optimizer.with_lr(1.0),
            "squared loss" if target.has_squared_loss else target,
            recipe.dtype,
            str(recipe.device),
            stage.train,
            sorted(stage.present),
            sorted(stage.penalties.items()),
            stage.until is not None,
            shapes,
        )
    )


def make_code(
    recipe: Recipe, stage: Stage, shapes: StepShapes, target: Hardware, rows: Program | None = None
) -> StepCode:
    """Trace, lower and generate a step, whose batch ``rows`` draws.

    What this takes is imported here: a step that is found on disk needs none of it.
    """
    from bfc.engine.compiled.lowering import lower
    from bfc.engine.compiled.tracing import trace_step

    graph = trace_step(recipe, stage, shapes)
    program = replace(lower(graph, shapes, recipe.dtype), rows=rows)
    code = target.generate(program, shapes, recipe.dtype, stage.until is not None)
    layout = replace(Layout.of(shapes, program.scalars), scratch=code.scratch)
    return StepCode(layout, ScalarProgram.of(graph), code.content)


def _make_statistics_code(recipe: Recipe, present: frozenset[str], shapes: StepShapes) -> StepCode:
    """Trace, lower and generate a learner's statistics."""
    from bfc.engine.compiled.lowering import lower_outputs
    from bfc.engine.compiled.tracing import trace_statistics

    graph = trace_statistics(recipe, present, shapes)
    (constants,) = lower_outputs(graph, {}, frozenset(), recipe.dtype)
    program, scalars = Program({"flat": constants}), ScalarProgram((), ())
    code = hardware(recipe.device).generate(program, shapes, recipe.dtype, needs_loss=True)
    layout = replace(Layout.of(shapes, program.scalars), scratch=code.scratch)
    return StepCode(layout, scalars, code.content)
