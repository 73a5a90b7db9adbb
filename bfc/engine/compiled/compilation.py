"""From a recipe and a stage to code that can be called."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.fx import Graph

from bfc.engine.compiled.cache import cached, is_named_by_repr
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
    trace = _Trace(lambda: _trace_step(recipe, stage, shapes))
    step = _name_step(recipe, stage) or trace.text
    needs_loss = stage.until is not None

    def make() -> StepCode:
        return make_code(trace.graph, shapes, recipe.dtype, target, needs_loss, rows)

    return _load(repr((step, needs_loss)), recipe, shapes, make)


def compiled_statistics(
    recipe: Recipe, present: frozenset[str], shapes: StepShapes
) -> CompiledStep:
    """The learner's statistics on rows of a pool as a step that trains them.

    Raises :class:`CannotCompile` where there is no such code.
    """
    trace = _Trace(lambda: _trace_statistics(recipe, present, shapes))
    is_named = is_named_by_repr(recipe.learner)
    step = repr((recipe.learner, sorted(present))) if is_named else trace.text

    def make() -> StepCode:
        return _make_statistics_code(trace.graph, shapes, recipe)

    return _load(repr(("statistics", step)), recipe, shapes, make)


def _load(
    step: str, recipe: Recipe, shapes: StepShapes, make: Callable[[], StepCode]
) -> CompiledStep:
    """The code of a step, from this process, from disk or made now."""
    key = repr((step, recipe.dtype, str(recipe.device), shapes))
    if key not in _steps:
        target = hardware(recipe.device)
        code = cached(key, target, make)
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
    """What code for a device is generated for; what that takes is imported for this device only.

    Raises :class:`CannotCompile` where there is no code for it on this machine.
    """
    try:
        if device.type == "cpu":
            from bfc.engine.compiled.machine import processor

            return processor()
        if device.type == "cuda":
            from bfc.engine.compiled.blocks.gpu import Gpu

            return Gpu(device)
    except (ImportError, OSError) as error:  # OSError: a library that the package loads is missing
        raise CannotCompile(f"a package is missing ({error})") from error
    raise CannotCompile(f"there is no compiled form for {device.type}")


def _name_step(recipe: Recipe, stage: Stage) -> str | None:
    """Equal for steps that have the same code: all that enters it but shapes and learning rate.

    None where what the components do is not said by their names.
    """
    if not all(map(is_named_by_repr, (recipe.learner, recipe.optimizer, recipe.target))):
        return None
    target = recipe.target
    return repr(
        (
            recipe.learner,
            recipe.optimizer.with_lr(1.0),
            "squared loss" if target.has_squared_loss else target,
            stage.train,
            sorted(stage.present),
            sorted(stage.penalties.items()),
        )
    )


class _Trace:
    """A graph that is traced when it is first needed: a step that is found by its name is not."""

    def __init__(self, trace: Callable[[], Graph]) -> None:
        self._trace = trace

    @functools.cached_property
    def graph(self) -> Graph:
        return self._trace()

    @property
    def text(self) -> str:
        """What the graph does."""
        from bfc.engine.compiled.recorder import text_of

        return text_of(self.graph, self.graph.find_nodes(op="get_attr"))


def _trace_step(recipe: Recipe, stage: Stage, shapes: StepShapes) -> Graph:
    from bfc.engine.compiled.tracing import trace_step  # it takes time to import

    return trace_step(recipe, stage, shapes)


def _trace_statistics(recipe: Recipe, present: frozenset[str], shapes: StepShapes) -> Graph:
    from bfc.engine.compiled.tracing import trace_statistics

    return trace_statistics(recipe, present, shapes)


def make_code(
    graph: Graph,
    shapes: StepShapes,
    dtype: torch.dtype,
    target: Hardware,
    needs_loss: bool,
    rows: Program | None = None,
) -> StepCode:
    """Lower a traced step and generate its code, whose batch ``rows`` draws.

    What this takes is imported here: a step that is found on disk needs none of it.
    """
    from bfc.engine.compiled.lowering import lower

    program = replace(lower(graph, shapes, dtype), rows=rows)
    code = target.generate(program, shapes, dtype, needs_loss)
    layout = replace(Layout.of(shapes, program.scalars), scratch=code.scratch)
    return StepCode(layout, ScalarProgram.of(graph), code.content)


def _make_statistics_code(graph: Graph, shapes: StepShapes, recipe: Recipe) -> StepCode:
    """Lower traced statistics and generate their code."""
    from bfc.engine.compiled.lowering import lower_outputs

    (constants,) = lower_outputs(graph, {}, frozenset(), recipe.dtype)
    program, scalars = Program({"flat": constants}), ScalarProgram((), ())
    code = hardware(recipe.device).generate(program, shapes, recipe.dtype, needs_loss=True)
    layout = replace(Layout.of(shapes, program.scalars), scratch=code.scratch)
    return StepCode(layout, scalars, code.content)
