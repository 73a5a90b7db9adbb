"""Logarithm, sine and cosine of vectors, for the normal numbers of rows that are drawn.

In single precision they are the polynomials of the Cephes library (Moshier, netlib.org/cephes,
``logf.c`` and ``sinf.c``), which are right to about one rounding; in double precision the C library
is called lane by lane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from llvmlite import ir

from bfc.engine.compiled.emitter import I32, LlvmEmitter

LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)
"""(log(1 + m) - m + m²/2) / m³, highest power first."""
SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
"""(sin r - r) / r³ in powers of r²."""
COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
"""(cos r - 1 + r²/2) / r⁴ in powers of r²."""
LOG_2 = (0.693359375, -2.12194440e-4)
HALF_PI = (1.57079637050628662109375, -4.37113900018624283e-8)
"""The nearest number of single precision, and the rest."""


def log(emitter: LlvmEmitter, x: ir.Value) -> ir.Value:
    """log x for positive, normal x."""
    if emitter.lanes.dtype == torch.float64:
        return emitter.per_lane("log", x)
    builder, one = emitter.builder, emitter.constant(1.0)
    word = builder.bitcast(x, _integers(emitter))
    exponent = builder.sub(builder.lshr(word, _same(emitter, 23)), _same(emitter, 126))
    mantissa = builder.or_(builder.and_(word, _same(emitter, 0x7FFFFF)), _same(emitter, 0x3F000000))
    m = builder.bitcast(mantissa, emitter.lanes.vector)
    e = builder.sitofp(exponent, emitter.lanes.vector)
    is_small = builder.fcmp_ordered("<", m, emitter.constant(math.sqrt(0.5)))
    e = builder.select(is_small, builder.fsub(e, one), e)
    m = builder.fsub(builder.select(is_small, builder.fadd(m, m), m), one)
    square = builder.fmul(m, m)
    y = builder.fmul(_polynomial(emitter, LOG, m), builder.fmul(m, square))
    y = emitter.fma(e, emitter.constant(LOG_2[1]), y)
    y = emitter.fma(square, emitter.constant(-0.5), y)
    return emitter.fma(e, emitter.constant(LOG_2[0]), builder.fadd(m, y))


def sine_and_cosine(emitter: LlvmEmitter, angle: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Both for angles from 0 to 2π."""
    if emitter.lanes.dtype == torch.float64:
        return emitter.per_lane("sin", angle), emitter.per_lane("cos", angle)
    builder = emitter.builder
    quarters = builder.fmul(angle, emitter.constant(2 / math.pi))
    q = emitter.intrinsic("rint", quarters)
    quarter = builder.fptosi(q, _integers(emitter))
    r = emitter.fma(q, emitter.constant(-HALF_PI[0]), angle)
    r = emitter.fma(q, emitter.constant(-HALF_PI[1]), r)
    square = builder.fmul(r, r)
    sine = emitter.fma(builder.fmul(_polynomial(emitter, SINE, square), square), r, r)
    cosine = builder.fmul(_polynomial(emitter, COSINE, square), builder.fmul(square, square))
    cosine = emitter.fma(square, emitter.constant(-0.5), cosine)
    cosine = builder.fadd(cosine, emitter.constant(1.0))
    is_odd = builder.icmp_signed("!=", builder.and_(quarter, _same(emitter, 1)), _same(emitter, 0))
    next_quarter = builder.add(quarter, _same(emitter, 1))
    return (
        _with_sign(emitter, builder.select(is_odd, cosine, sine), quarter),
        _with_sign(emitter, builder.select(is_odd, sine, cosine), next_quarter),
    )


def _with_sign(emitter: LlvmEmitter, number: ir.Value, quarter: ir.Value) -> ir.Value:
    """The negative of a number in the second half of four quarters."""
    builder = emitter.builder
    sign = builder.shl(builder.and_(quarter, _same(emitter, 2)), _same(emitter, 30))
    word = builder.xor(builder.bitcast(number, _integers(emitter)), sign)
    return builder.bitcast(word, emitter.lanes.vector)


def _polynomial(emitter: LlvmEmitter, coefficients: Sequence[float], x: ir.Value) -> ir.Value:
    first, *others = coefficients
    total: ir.Value = emitter.constant(first)
    for coefficient in others:
        total = emitter.fma(total, x, emitter.constant(coefficient))
    return total


def _integers(emitter: LlvmEmitter) -> ir.VectorType:
    return ir.VectorType(I32, emitter.lanes.count)


def _same(emitter: LlvmEmitter, number: int) -> ir.Constant:
    return ir.Constant(_integers(emitter), [ir.Constant(I32, number)] * emitter.lanes.count)
