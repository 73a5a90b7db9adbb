"""A plan as one LLVM function that takes many steps of the replicas in its lanes."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from bfc.engine.compiled.emitter import I64, POINTER, LlvmEmitter
from bfc.engine.compiled.gather import emit_gather
from bfc.engine.compiled.lanes import Lanes
from bfc.engine.compiled.loops import emit_map, emit_sum
from bfc.engine.compiled.plan import CodePlan, make_plan
from bfc.engine.compiled.products import emit_product, panel_size
from bfc.engine.compiled.program import NormalRows, Product, Program, Reduce
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.step_code import ARGUMENTS, FUNCTION, Layout
from bfc.engine.compiled.storage import Place
from bfc.engine.compiled.streams import emit_normal_rows


@dataclass(frozen=True)
class Code:
    """The text of a module in LLVM's language."""

    text: str
    scratch: int
    """Elements of the scratch memory."""


def generate(
    program: Program, shapes: StepShapes, lanes: Lanes, registers: int, needs_loss: bool
) -> Code:
    """The code of a program; ``registers`` are the vector registers of the processor."""
    layout = Layout.of(shapes, program.scalars)
    plan = make_plan(program, layout.places, needs_loss)
    module = ir.Module(FUNCTION)
    kind = ir.FunctionType(ir.VoidType(), [I64] + [POINTER] * len(ARGUMENTS))
    function = ir.Function(module, kind, FUNCTION)
    for argument in function.args[1:]:
        argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    pointers = dict(zip(ARGUMENTS, function.args[1:], strict=True))
    emitter = LlvmEmitter(builder, lanes, dict(pointers), plan.places)
    rows = None if program.rows is None else make_plan(program.rows, layout.places)

    def step(_: list[ir.Value]) -> list[ir.Value]:
        t = emitter.variables["t"]
        per_step = {"scalars": len(program.scalars), "loss": 1}
        for region, count in per_step.items():
            distance = builder.mul(t, emitter.integer(count))
            emitter.pointers[region] = builder.gep(
                pointers[region], [distance], source_etype=lanes.vector
            )
        if rows is None:
            emit_gather(emitter, shapes.rows, shapes.input_width)
        else:
            emitter.places = rows.places
            _emit_loops(emitter, rows, shapes, registers)
            emitter.places = plan.places
        _emit_loops(emitter, plan, shapes, registers)
        return []

    emitter.counted_loop("t", function.args[0], step)
    builder.ret_void()
    scratch = max(_scratch(part, registers) for part in (plan, rows) if part is not None)
    return Code(_with_wide_registers(str(module), lanes), scratch)


def _scratch(plan: CodePlan, registers: int) -> int:
    """Elements of scratch memory, with a panel behind the values."""
    return plan.scratch + max((panel_size(loop, registers) for loop in plan.loops), default=0)


def _emit_loops(emitter: LlvmEmitter, plan: CodePlan, shapes: StepShapes, registers: int) -> None:
    panel = Place("scratch", plan.scratch)
    for loop in plan.loops:
        if isinstance(loop.core, Product):
            emit_product(emitter, loop, loop.core, plan.stored, registers, panel)
        elif isinstance(loop.core, Reduce):
            emit_sum(emitter, loop, loop.core, plan.stored)
        elif isinstance(loop.core, NormalRows):
            assert shapes.drawn is not None
            position = shapes.drawn.position(loop.core.key)
            emit_normal_rows(emitter, loop, loop.core, position)
        else:
            emit_map(emitter, loop, plan.stored)


def _with_wide_registers(text: str, lanes: Lanes) -> str:
    """The module with the attribute that lets LLVM use registers of the full width."""
    bits = lanes.count * (32 if lanes.suffix.endswith("f32") else 64)
    attributes = f'"min-legal-vector-width"="{bits}" "prefer-vector-width"="{bits}"'
    head, brace, body = text.partition("\n{")
    return f"{head} {attributes}{brace}{body}"
