"""Triton programs that can be called: one per replica, all of them at the same time."""

from __future__ import annotations

import functools
import hashlib
import linecache
from dataclasses import dataclass
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.errors import TritonError

from bfc.engine.compiled.hardware import GeneratedCode, StepTensors
from bfc.engine.compiled.program import Program
from bfc.engine.compiled.refusal import CannotCompile
from bfc.engine.compiled.shapes import StepShapes
from bfc.engine.compiled.step_code import ARGUMENTS, FUNCTION

OPTIONS = {"num_warps": 8, "num_stages": 1, "enable_fp_fusion": True}
"""Options of Triton: 256 threads to a replica, no loads ahead of the loop that they are in, and a
product and a sum may become one instruction."""


@dataclass(frozen=True)
class Gpu:
    """What Triton compiles for; which GPU that is enters where it compiles."""

    device: torch.device

    @property
    def version(self) -> str:
        return f"triton {triton.__version__}"

    @property
    def runs_groups_at_once(self) -> bool:
        return True

    def group_size(self, dtype: torch.dtype) -> int:
        return 1

    def generate(
        self, program: Program, shapes: StepShapes, dtype: torch.dtype, needs_loss: bool
    ) -> GeneratedCode:
        """Source code; what generates it is imported here, for stored code needs none of it."""
        from bfc.engine.compiled.blocks.code import generate

        return generate(program, shapes, dtype, needs_loss)

    def load(self, code: bytes, dtype: torch.dtype) -> BlockCode:
        """Raises :class:`CannotCompile` where Triton does not compile the code for this GPU."""
        function = load_function(code.decode())
        if self.device.type == "cuda":
            _compile(function, dtype, self.device)
        return BlockCode(function)


@dataclass(frozen=True)
class BlockCode:
    """A Triton function that can be called."""

    function: Any

    def take_steps(self, tensors: StepTensors) -> None:
        """See :class:`bfc.engine.compiled.hardware.LoadedCode`."""
        groups, steps = tensors.loss.shape[:2]
        arguments = [vars(tensors)[name] for name in ARGUMENTS]
        with torch.cuda.device(tensors.state.get_device()):
            self.function[(groups,)](steps, *arguments, **OPTIONS)


def _compile(function: Any, dtype: torch.dtype, device: torch.device) -> None:
    """Compile a function ahead of its first call, for rows that are drawn."""
    types = dict.fromkeys(ARGUMENTS, dtype) | {"stream": torch.int64, "rows": None}
    try:
        with torch.cuda.device(device):
            function.warmup(1 << 10, *types.values(), grid=(1,), **OPTIONS)
    except (TritonError, RuntimeError) as error:
        first_line = str(error).partition("\n")[0]
        raise CannotCompile(f"Triton does not compile it ({first_line})") from error


def to_assembly(source: str, dtype: torch.dtype, capability: int = 90) -> str:
    """The instructions for a GPU of a compute capability (times ten), for readers.

    No GPU is needed; rows are drawn, not given.
    """
    number = f"*fp{torch.finfo(dtype).bits}"
    types = {name: number for name in ARGUMENTS} | {"stream": "*i64", "rows": "constexpr"}
    step = ASTSource(load_function(source), {"steps": "i32", **types}, {"rows": None})
    compiled = triton.compile(step, target=GPUTarget("cuda", capability, 32), options=OPTIONS)
    return str(compiled.asm["ptx"])


@functools.cache
def load_function(source: str) -> Any:
    """The function of a source text, which Triton looks up by the name of its file."""
    file = f"<step {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": file}
    exec(compile(source, file, "exec"), names)
    return names[FUNCTION]
