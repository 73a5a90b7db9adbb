"""Fields that may be written in a shorter form than they hold, such as one number for a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin


@dataclass(frozen=True, eq=False)  # unions of another order are equal, but are described in it
class Accepts:
    """``Annotated[held, Accepts(written)]``: a field holds ``held`` and may be given ``written``.

    The class of the field turns one into the other in its ``__post_init__``. Type checkers see what
    the field holds; configurations are checked against what may be written.
    """

    written: Any

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """The schema that pydantic checks a value of a configuration against."""
        return handler.generate_schema(self.written)


def accepted_type(hint: Any) -> Any:
    """The type that may be written for a field of this annotation."""
    if get_origin(hint) is not Annotated:
        return hint
    held, *metadata = get_args(hint)
    for item in metadata:
        if isinstance(item, Accepts):
            return item.written
    return held
