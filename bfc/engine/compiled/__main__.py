"""Shows how a step becomes code, for the smallest example: a network of two units, SGD, two rows.

    python -m bfc.engine.compiled [--blocks] [--assembly]

Prints the traced graph, the loops and the generated code in LLVM's language, or with
``--assembly`` what the processor runs. With ``--blocks`` it is the code for a GPU, in Triton's
language or as instructions of an H100; no GPU is needed for that.
"""

from __future__ import annotations

import argparse

import torch

from bfc.engine.compiled.code import generate
from bfc.engine.compiled.lowering import lower
from bfc.engine.compiled.machine import processor, to_assembly
from bfc.engine.compiled.plan import CodePlan, make_plan
from bfc.engine.compiled.program import Program
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.step_code import Layout
from bfc.engine.compiled.tracing import trace_step
from bfc.engine.recipe import Recipe
from bfc.errors import UserError
from bfc.extras import require_package
from bfc.learners.groups import list_parameters
from bfc.learners.mlp import MLP
from bfc.optimizers.sgd import SGD
from bfc.schedules import Phase, Schedule
from bfc.streams import secure_streams
from bfc.targets.parity import Parity


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m bfc.engine.compiled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--blocks", action="store_true", help="print the code for a GPU")
    parser.add_argument("--assembly", action="store_true", help="print machine instructions")
    options = parser.parse_args(arguments)
    target, learner = Parity(d=2, law="gaussian"), MLP(widths=(2,))
    recipe = Recipe(target, learner, Schedule((Phase(("level*", "bias")),)), SGD(batch=2))
    (stage,), groups = recipe.stages(), learner.groups(target)
    params = learner.init_params(target, target.draw([0]))
    trained = list_parameters(groups, stage.train)
    shapes = StepShapes.of(recipe, params, trained, has_multiplier=False)
    graph = trace_step(recipe, stage, shapes)
    program = lower(graph, shapes, torch.float32)
    print(f"; the step as torch takes it\n{graph}\n")
    places = Layout.of(shapes, program.scalars).places
    print(f"; its loops\n{describe(make_plan(program, places, needs_loss=False))}\n")
    show = show_blocks if options.blocks else show_lanes
    try:
        print(show(program, shapes, options.assembly))
    except (CannotCompile, UserError) as error:
        parser.exit(1, f"{error}\n")


def show_lanes(program: Program, shapes: StepShapes, as_assembly: bool) -> str:
    """The code for this processor."""
    machine = processor()
    code = generate(program, shapes, machine.lanes(torch.float32), machine.registers, False)
    return to_assembly(code.text, machine) if as_assembly else code.text


def show_blocks(program: Program, shapes: StepShapes, as_assembly: bool) -> str:
    """The code for a GPU; it takes Triton, which is imported here."""
    require_package("triton", "--blocks", "blocks")
    from bfc.engine.compiled.blocks import gpu

    text = (
        gpu.Gpu(torch.device("cuda"))
        .generate(program, shapes, torch.float32, False)
        .content.decode()
    )
    return gpu.to_assembly(text, torch.float32) if as_assembly else text


def describe(plan: CodePlan) -> str:
    """A line per loop: what it computes, of which shape, and where that is stored."""
    lines = []
    for loop in plan.loops:
        core = "" if loop.core is None else f" of a {type(loop.core).__name__.lower()}"
        kind = type(loop.target).__name__.lower()
        place = f"{loop.place.region}[{loop.place.offset}]"
        lines.append(f"{place:>16} = {kind}{core}, shape {loop.target.shape}")
    return "\n".join(lines)


if __name__ == "__main__":
    secure_streams()
    main()
