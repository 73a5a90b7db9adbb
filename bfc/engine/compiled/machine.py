"""The processor of this machine, and machine code for it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass

import llvmlite
import torch
from llvmlite import binding as llvm

from bfc.engine.compiled.hardware import GeneratedCode, StepTensors
from bfc.engine.compiled.lanes import Lanes
from bfc.engine.compiled.program import Program
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.step_code import ARGUMENTS, FUNCTION


@dataclass(frozen=True)
class Processor:
    """What code is generated for."""

    triple: str
    name: str
    features: str
    vector_bits: int
    registers: int
    """Vector registers."""

    @property
    def version(self) -> str:
        return repr((self, llvmlite.__version__, llvm.llvm_version_info))

    @property
    def runs_groups_at_once(self) -> bool:
        return False

    def group_size(self, dtype: torch.dtype) -> int:
        return self.lanes(dtype).count

    def lanes(self, dtype: torch.dtype) -> Lanes:
        return Lanes(self.vector_bits // torch.finfo(dtype).bits, dtype)

    def generate(
        self, program: Program, shapes: StepShapes, dtype: torch.dtype, needs_loss: bool
    ) -> GeneratedCode:
        """Machine code; what generates it is imported here, for stored code needs none of it."""
        from bfc.engine.compiled.code import generate

        code = generate(program, shapes, self.lanes(dtype), self.registers, needs_loss)
        return GeneratedCode(assemble(code.text, self), code.scratch)

    def load(self, code: bytes, dtype: torch.dtype) -> LaneCode:
        return load(code, self)


@functools.cache
def processor() -> Processor:
    """This machine's; raises :class:`CannotCompile` where its registers are not known."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    triple, name = llvm.get_process_triple(), llvm.get_host_cpu_name()
    flat = features.flatten()
    if features.get("avx512f"):
        return Processor(triple, name, flat, 512, 32)
    if features.get("avx2") and features.get("fma"):
        return Processor(triple, name, flat, 256, 16)
    if triple.startswith(("aarch64", "arm64")):
        return Processor(triple, name, flat, 128, 32)
    raise CannotCompile(f"this processor ({name}) has neither AVX2 nor NEON")


def assemble(text: str, target: Processor) -> bytes:
    """The object file of a module."""
    module, machine = _optimised(text, target)
    return bytes(machine.emit_object(module))


def to_assembly(text: str, target: Processor) -> str:
    """The instructions of a module, for readers."""
    module, machine = _optimised(text, target)
    return str(machine.emit_assembly(module))


def _optimised(text: str, target: Processor) -> tuple[llvm.ModuleRef, llvm.TargetMachine]:
    module = llvm.parse_assembly(text)
    machine = _target_machine(target)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module, machine


def _target_machine(target: Processor) -> llvm.TargetMachine:
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.name, features=target.features, opt=2, jit=True
    )


@dataclass(frozen=True)
class LaneCode:
    """Machine code that can be called."""

    engine: llvm.ExecutionEngine
    """Owns the memory of the code."""
    function: Callable[..., None]
    """(number of steps, a pointer per entry of :data:`~bfc.engine.compiled.step_code.ARGUMENTS`)"""

    def take_steps(self, tensors: StepTensors) -> None:
        """See :class:`bfc.engine.compiled.hardware.LoadedCode`."""
        for group, loss in enumerate(tensors.loss):
            rows = None if tensors.rows is None else tensors.rows[group]
            parts = (
                *(tensors.state[group], tensors.fixed[group], tensors.shared),
                *(tensors.scalars[group], tensors.pool_x, tensors.pool_y, rows),
                *(tensors.stream[group], tensors.batch, tensors.scratch, loss),
            )
            pointers = [None if part is None else part.data_ptr() for part in parts]
            self.function(len(loss), *pointers)


def load(code: bytes, target: Processor) -> LaneCode:
    """Make an object file callable."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine(target))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * len(ARGUMENTS))
    return LaneCode(engine, kind(engine.get_function_address(FUNCTION)))
