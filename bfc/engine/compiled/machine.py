"""The processor of this machine, and machine code for it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from llvmlite import binding as llvm

from bfc.engine.compiled.lanes import Lanes
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.step_code import ARGUMENTS, FUNCTION

TakeSteps = Callable[..., None]


@dataclass(frozen=True)
class Processor:
    """What code is generated for."""

    triple: str
    name: str
    features: str
    vector_bits: int
    registers: int
    """Vector registers."""

    def lanes(self, dtype: torch.dtype) -> Lanes:
        return Lanes(self.vector_bits // torch.finfo(dtype).bits, dtype)


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
class LoadedCode:
    """Machine code that can be called."""

    engine: llvm.ExecutionEngine
    """Owns the memory of the code."""
    take_steps: TakeSteps
    """(number of steps, a pointer per entry of :data:`~bfc.engine.compiled.code.ARGUMENTS`)."""


def load(code: bytes, target: Processor) -> LoadedCode:
    """Make an object file callable."""
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine(target))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * len(ARGUMENTS))
    return LoadedCode(engine, kind(engine.get_function_address(FUNCTION)))
