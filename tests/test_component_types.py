"""Components that a program builds are checked as those of a configuration, without pydantic."""

from __future__ import annotations

import dataclasses
import math
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pydantic
import pytest

import bfc
from bfc.component import Component
from bfc.errors import UserError
from bfc.experiment import components
from bfc.experiment.components import GROUPS, class_paths, component, find_class
from bfc.experiment.job import Compute
from bfc.field_types import convert, is_union, written_types

WRONG = ["text", "4", 4.0, 1.5, 3, True, None, [], [1, "x"], [None], {"a": 1}, object()]
"""A value of every kind; a field is tried with those that its annotation does not take."""
SAMPLES = [
    (int, 3),
    (int, True),
    (int, 4.0),
    (int, "4"),
    (float, 3),
    (float, True),
    (float, "0.5"),
    (bool, 1),
    (bool, False),
    (str, 3),
    (int | None, None),
    (int | Literal["auto"], "auto"),
    (int | Literal["auto"], "all"),
    (Literal["a", "b"], "b"),
    (Literal["a", "b"], "c"),
    (tuple[int, ...], [1, 2]),
    (tuple[int, ...], [1, "x"]),
    (tuple[float, ...] | float, 2),
    (tuple[float, ...], 2.0),
    (tuple[float, float], [1, 2.5]),
    (tuple[float, float], [1.0]),
    (tuple[tuple[int, ...], ...], [[0], [1, 0]]),
    (dict[str, float], {"a": 1}),
    (dict[str, float], {"a": "b"}),
]


def options() -> Iterator[tuple[str, str]]:
    for group in GROUPS:
        for option in class_paths(group):
            yield group, option


def test_an_option_that_leaves_out_what_its_group_must_offer_is_refused(monkeypatch) -> None:
    """Otherwise it would be trained and stored before something asks for what is missing."""
    body = (
        "from dataclasses import dataclass\n"
        "from bfc.types import Target\n"
        "@dataclass(frozen=True)\n"
        "class Unfinished(Target):\n"
        "    identity_name = 'bfc.targets.unfinished.Unfinished'\n"
        "    d: int = 4\n"
        "    levels = ()\n"
    )
    module = types.ModuleType("bfc.targets.unfinished")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(body, module.__dict__)  # a class of a module of the package, as a newcomer writes it
    path = "bfc.targets.unfinished.Unfinished"
    options = {**class_paths("target"), "unfinished": path}
    monkeypatch.setattr(components, "class_paths", lambda group: options)
    with pytest.raises(UserError, match=rf"^target._target_={path}: .* define degree, draw; "):
        find_class("target", path)


@pytest.mark.parametrize(("group", "option"), list(options()))
def test_every_field_refuses_values_of_another_type(group: str, option: str, node) -> None:
    part = component(group, node(group, option))
    for name, hint in written_types(type(part)).items():
        field = {f.name: f for f in dataclasses.fields(part) if f.init}.get(name)
        if field is None:
            continue
        for value in WRONG:
            if takes(hint, value):
                continue
            with pytest.raises(UserError, match=rf"^{part.config_key}\.{name}="):
                dataclasses.replace(part, **{name: value})
                pytest.fail(f"{option}.{name}={value!r} was accepted")


def takes(hint: Any, value: Any) -> bool:
    """Whether an annotation takes a value, by pydantic and not by what is tested."""
    if value.__class__ is object:
        return False
    try:
        pydantic.TypeAdapter(hint).validate_json(as_json(value), strict=True)
    except pydantic.ValidationError:
        return False
    return True


def as_json(value: Any) -> str:
    return pydantic.TypeAdapter(Any).dump_json(value).decode()


@pytest.mark.parametrize(("hint", "value"), SAMPLES)
def test_a_value_is_converted_as_pydantic_does_it(hint: Any, value: Any) -> None:
    if takes(hint, value):
        expected = pydantic.TypeAdapter(hint).validate_json(as_json(value), strict=True)
        assert repr(convert(hint, value)) == repr(expected)
    else:
        with pytest.raises(TypeError):
            convert(hint, value)


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_a_component_with_the_key_of_its_group(group: str) -> None:
    for path in class_paths(group).values():
        cls = find_class(group, path)
        assert Component in cls.__mro__ and cls.config_key == group, path


def test_every_annotation_is_one_that_is_checked() -> None:
    """A field of another form would take anything."""
    for group, option in options():
        cls = find_class(group, class_paths(group)[option])
        hints = written_types(cls)
        for field in dataclasses.fields(cls):
            if field.init:
                assert is_checked(hints[field.name]), (option, field.name)


def is_checked(hint: Any) -> bool:
    if get_origin(hint) in (tuple, dict) or is_union(hint):
        return all(is_checked(part) for part in get_args(hint) if part is not Ellipsis)
    is_plain = hint in (int, float, str, bool, type(None)) or get_origin(hint) is Literal
    return is_plain or dataclasses.is_dataclass(hint)


def test_numbers_of_numpy_are_numbers() -> None:
    assert type(bfc.targets.Parity(d=np.int64(5)).d) is int
    assert bfc.measure.Ladder(n=np.array([16, 8])).n == (8, 16)
    assert type(bfc.Adam(lr=np.float32(0.5)).lr) is float


def test_a_number_that_is_not_finite_is_refused() -> None:
    for value in (math.inf, math.nan):
        with pytest.raises(UserError, match=r"optimizer\.eps="):
            bfc.Adam(eps=value)


def test_a_text_that_reads_as_a_number_is_quoted() -> None:
    with pytest.raises(
        UserError, match=r"^target\.d='4': must be an integer; must be written without quotes$"
    ):
        bfc.targets.Parity(d="4")


def test_compute_is_checked_too() -> None:
    with pytest.raises(UserError, match=r"compute\.dtype=float16: must be float32 or float64"):
        Compute(dtype="float16")
