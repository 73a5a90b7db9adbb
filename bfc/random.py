"""Random numbers as a pure function of (seed, role, index).

A training therefore never depends on the stack it is part of, on chunking, on the number of workers
or on the device. Library generators differ between CPU and CUDA and have no random access; here
every number is the SplitMix64 finaliser (Steele, Lea & Flood, OOPSLA 2014) of a counter offset by a
key that hashes the seed and the role, in int64 tensor arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

GOLDEN = 0x9E3779B97F4A7C15
MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_WORD = (1 << 64) - 1
_ROOT = 0x243F6A8885A308D3
"""Initial value of the hash of a role (the digits of pi), different from that of a seed."""
CPU_WORDS = 1 << 16
"""Words that are made into normal numbers at a time on a CPU.

Their twenty-odd intermediate results then stay in its cache.
"""


def _signed(word: int) -> int:
    """An unsigned 64-bit word as the int64 of the same bits."""
    return word - (1 << 64) if word >> 63 else word


def _mix_int(z: int) -> int:
    """The SplitMix64 finaliser of an unsigned 64-bit word."""
    z = ((z ^ (z >> 30)) * MIX[0]) & _WORD
    z = ((z ^ (z >> 27)) * MIX[1]) & _WORD
    return z ^ (z >> 31)


def keys(seeds: Sequence[int], role: str, device: torch.device | str = "cpu") -> Tensor:
    """One int64 stream key per seed for ``role``; shape (R,), not to be changed in place.

    Any Python integers are valid seeds, 0 included. Keys are cached, since targets use the same
    ones at every step of a training: hashing takes the host longer than a small step, and a copy
    from the host makes it wait for a GPU.
    """
    return _keys(tuple(map(int, seeds)), role, str(device))


@lru_cache(maxsize=256)
def _keys(seeds: tuple[int, ...], role: str, device: str) -> Tensor:
    word = _ROOT
    for byte in role.encode():
        word = _mix_int((word + byte + 1) * GOLDEN & _WORD)
    seed_words = [_mix_int((seed + 1) * GOLDEN & _WORD) for seed in seeds]
    values = [_signed(_mix_int((word ^ seed_word) & _WORD)) for seed_word in seed_words]
    return torch.tensor(values, dtype=torch.int64, device=device)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical (unsigned) right shift of int64."""
    return z.bitwise_right_shift(bits).bitwise_and_((1 << (64 - bits)) - 1)


def bits(key: Tensor, index: Tensor) -> Tensor:
    """64 random bits for every index under a key that broadcasts against it; int64."""
    z = index.mul(_signed(GOLDEN)) + key
    z = (z.bitwise_xor_(_shift(z, 30))).mul_(_signed(MIX[0]))
    z = (z.bitwise_xor_(_shift(z, 27))).mul_(_signed(MIX[1]))
    return z.bitwise_xor_(_shift(z, 31))


def integers(key: Tensor, index: Tensor, high: Tensor | int) -> Tensor:
    """Uniform integers in [0, high), int64; ``high`` broadcasts, int64, below 2^31.

    The bias is below high / 2^32.
    """
    return _shift(bits(key, index), 32).mul_(high).bitwise_right_shift_(32)


def uniform(key: Tensor, index: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform numbers in (0, 1) for every index under a key that broadcasts against it."""
    largest = 1 - torch.finfo(dtype).eps / 2  # some words round up to 1 in single precision
    return _unit_interval(_shift(bits(key, index), 32), dtype).clamp_(max=largest)


def _unit_interval(word: Tensor, dtype: torch.dtype) -> Tensor:
    """(word + 1/2) / 2^32 for words of 32 bits."""
    return word.to(dtype).add_(0.5).mul_(2.0**-32)


def normal_rows(
    key: Tensor, rows: Tensor, width: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Standard normal rows; ``key`` (R,), ``rows`` (R, B) row numbers → (R, B, width).

    Row ``i`` depends on (key, i, width) only. Box-Muller: one 64-bit word gives one pair. A
    ``TorchFunctionMode`` can override this function like those of torch.
    """
    if has_torch_function((key, rows)):
        rows_drawn: Tensor = handle_torch_function(
            normal_rows, (key, rows), key, rows, width, dtype=dtype
        )
        return rows_drawn
    at_once = max(1, rows.shape[1])
    if rows.device.type == "cpu":
        words_per_row = max(1, len(key) * ((width + 1) // 2))
        at_once = max(1, CPU_WORDS // words_per_row)
    parts = [_box_muller(key, part, width, dtype) for part in torch.split(rows, at_once, 1)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _box_muller(key: Tensor, rows: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """As :func:`normal_rows`, all at once."""
    pairs = (width + 1) // 2
    index = rows.unsqueeze(-1) * pairs + torch.arange(pairs, device=rows.device)
    word = bits(key.view(-1, 1, 1), index)
    radius = _unit_interval(_shift(word, 32), dtype).log_().mul_(-2.0).sqrt_()
    angle = word.bitwise_and_(0xFFFFFFFF).to(dtype).mul_(2.0 * math.pi * 2.0**-32)
    pair = torch.cat([radius * angle.cos(), radius.mul_(angle.sin_())], dim=-1)
    return pair[..., :width]


def normal(
    seeds: Sequence[int],
    role: str,
    shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal tensor of shape (R, *shape), one independent realisation per seed."""
    size = math.prod(shape)
    key = keys(seeds, role, device)
    row = torch.zeros(len(key), 1, dtype=torch.int64, device=device)
    return normal_rows(key, row, size, dtype).reshape(len(key), *shape)
