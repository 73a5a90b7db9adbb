"""A plan as one Triton function that takes many steps of a replica."""

from __future__ import annotations

import torch

from bfc.engine.compiled.blocks.barriers import barriers
from bfc.engine.compiled.blocks.emitter import TritonEmitter
from bfc.engine.compiled.blocks.loops import emit_map, emit_sum
from bfc.engine.compiled.blocks.products import emit_product
from bfc.engine.compiled.blocks.rows import emit_normal_rows, emit_rows
from bfc.engine.compiled.hardware import GeneratedCode
from bfc.engine.compiled.plan import CodePlan, make_plan
from bfc.engine.compiled.program import NormalRows, Product, Program, Reduce
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.step_code import ARGUMENTS, FUNCTION, Layout

HEAD = f"""import triton
import triton.language as tl


@triton.jit(do_not_specialize=["steps"])
def {FUNCTION}(steps, {", ".join(ARGUMENTS)}):
"""
ALIGNED = 32
"""Elements of which the scratch memory of a replica is a multiple, a line of the cache."""
START = """    replica = tl.program_id(0).to(tl.int64)
    state += replica * {state}
    fixed += replica * {fixed}
    scalars += replica * steps * {scalars}
    batch += replica * {batch}
    scratch += replica * {scratch}
    loss += replica * steps
    if rows is not None:
        rows += replica * steps * {rows}
    stream += replica * {stream}
    key = tl.load(stream).to(tl.uint64)
    num_rows = tl.load(stream + 1).to(tl.uint64)
    first_row = tl.load(stream + 2)
    first_step = tl.load(stream + 3)
"""


def generate(
    program: Program, shapes: StepShapes, dtype: torch.dtype, needs_loss: bool
) -> GeneratedCode:
    """The source code of a program in Triton's language."""
    layout = Layout.of(shapes, program.scalars)
    plan = make_plan(program, layout.places, needs_loss)
    rows = None if program.rows is None else make_plan(program.rows, layout.places)
    needed = max(part.scratch for part in (plan, rows) if part is not None)
    scratch = -(-needed // ALIGNED) * ALIGNED
    pointers = {"scalars": "step_scalars", "loss": "step_loss"}
    regions = ("state", "fixed", "shared", "batch", "scratch")
    emitter = TritonEmitter(dtype, {name: name for name in regions} | pointers, plan.places)
    emitter.indent(1)
    with emitter.block("for step in range(steps):"):
        emitter.line(f"step_scalars = scalars + step * {len(program.scalars)}")
        emitter.line("step_loss = loss + step")
        if rows is None:
            emit_rows(emitter, shapes.rows, shapes.input_width)
        else:
            emitter.places = rows.places
            _emit_loops(emitter, rows, shapes)
        emitter.barrier()
        emitter.places = plan.places
        _emit_loops(emitter, plan, shapes)
        emitter.barrier()
    start = START.format(
        state=layout.state,
        fixed=max(1, layout.fixed),
        scalars=len(program.scalars),
        batch=layout.batch,
        scratch=scratch,
        rows=shapes.rows,
        stream=shapes.stream_size,
    )
    text = HEAD + start + "\n".join([*emitter.constant_lines(), *emitter.lines]) + "\n"
    return GeneratedCode(text.encode(), scratch)


def _emit_loops(emitter: TritonEmitter, plan: CodePlan, shapes: StepShapes) -> None:
    """All loops, with the barriers that they need between them."""
    for loop, has_barrier in zip(plan.loops, barriers(plan), strict=True):
        if has_barrier:
            emitter.barrier()
        if isinstance(loop.core, Product):
            emit_product(emitter, loop, loop.core, plan.stored)
        elif isinstance(loop.core, Reduce):
            emit_sum(emitter, loop, loop.core, plan.stored)
        elif isinstance(loop.core, NormalRows):
            assert shapes.drawn is not None
            position = shapes.drawn.position(loop.core.key)
            emit_normal_rows(emitter, loop, loop.core, position)
        else:
            emit_map(emitter, loop, plan.stored)
