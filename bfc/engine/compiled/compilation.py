"""From a recipe and a stage to code that can be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from bfc.engine.compiled.code import Layout, generate
from bfc.engine.compiled.lowering import lower
from bfc.engine.compiled.machine import LoadedCode, assemble, load, processor
from bfc.engine.compiled.scalars import ScalarProgram
from bfc.engine.compiled.tracing import StepShapes, trace_step
from bfc.engine.recipe import Recipe
from bfc.types import Stage


@dataclass(frozen=True)
class CompiledStep:
    """The step of one stage as machine code."""

    shapes: StepShapes
    layout: Layout
    lanes: int
    scalars: ScalarProgram
    code: LoadedCode

    @property
    def take_steps(self) -> Callable[..., Any]:
        return self.code.take_steps


def compile_step(recipe: Recipe, stage: Stage, shapes: StepShapes) -> CompiledStep:
    """The compiled step of a stage; raises :class:`CannotCompile` where there is none."""
    target = processor()
    graph = trace_step(recipe, stage, shapes)
    program = lower(graph, shapes, recipe.dtype)
    lanes = target.lanes(recipe.dtype)
    code = generate(program, shapes, lanes, target.registers, stage.until is not None)
    layout = replace(Layout.of(shapes, program.scalars), scratch=code.scratch)
    loaded = load(assemble(code.text, target), target)
    return CompiledStep(shapes, layout, lanes.count, ScalarProgram.of(graph), loaded)
