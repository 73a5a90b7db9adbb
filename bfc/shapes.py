"""Shapes in annotations, such as ``Float[Tensor, "R B d"]``.

``pytest --check-shapes`` checks them at every call with jaxtyping and beartype. Everywhere else
they stand for a plain tensor, so that the library needs neither package and pays nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Float64
    from typing import Annotated as Int
    from typing import Annotated as Num
elif "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Float64, Int, Num
else:

    class _AnyTensor:
        """Stands for a tensor whatever its type and shape."""

        def __class_getitem__(cls, item: Any) -> type[Tensor]:
            return Tensor

    Bool = Float = Float64 = Int = Num = _AnyTensor

__all__ = ["Bool", "Float", "Float64", "Int", "Num"]
