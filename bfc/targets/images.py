"""Images with their classes as a target, since the paper's evidence is about networks on CIFAR.

scikit-learn's 8 x 8 digits come with that package and run anywhere; CIFAR-10 and CIFAR-100 are read
from a folder on this machine (:mod:`bfc.targets.image_data`). Nothing is ever downloaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bfc import random
from bfc.errors import require
from bfc.targets.capabilities import ImageTarget
from bfc.targets.class_target import ClassTarget
from bfc.targets.image_data import CIFAR, hash_pixels, load_images
from bfc.types import NOTHING_REVEALED, Draw, Revealed


@dataclass(frozen=True)
class Images(ImageTarget, ClassTarget):
    """The class of an image, 0 ... ``outputs`` - 1; a method answers with one score per class.

    Scores have the shape (R, B, outputs). ``loss_by`` trains (cross-entropy, or squares against
    one-hot) and ``judged`` is reported: the share of wrong classes, or squares, relative to the
    best constant answer. Pixels are scaled to mean 0 and variance 1 over the training images. A
    seed shuffles the images: row i of ``train`` is the i-th of its order, rows beyond the last
    begin anew (epochs); ``test`` holds the test images of the data set (of the digits, a quarter,
    the same for all seeds).

    Raises :class:`bfc.errors.UserError` where the data are not on this machine.
    """

    identity_name: ClassVar[str] = "bfc.targets.images.Images"
    version: ClassVar[int] = 1
    derived_keys: ClassVar[Mapping[str, str]] = {
        "d": "is the number of values of an image; change target.data"
    }

    data: Literal["digits", "cifar10", "cifar100"] = "digits"
    folder: str = field(default="data", metadata={"identity": False})
    """Where the unpacked archive of a CIFAR lies; unused by the digits.

    The same data in another place are the same results."""
    loss_by: Literal["cross_entropy", "squared"] = "cross_entropy"
    judged: Literal["zero_one", "squared"] = "zero_one"

    def __post_init__(self) -> None:
        if self.data in CIFAR:
            path = Path(self.folder, CIFAR[self.data].folder)
            require(
                path.is_dir(),
                "target.folder",
                self.folder,
                f"a folder that holds {path.name}, the unpacked python version of "
                f"{self.data.upper()} from its authors' page (nothing is downloaded here)",
            )
        else:
            object.__setattr__(self, "folder", "data")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (1, 8, 8) if self.data == "digits" else (3, 32, 32)

    @property
    def d(self) -> int:  # type: ignore[override]  # follows from the data, so it is no field
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        return CIFAR[self.data].classes if self.data in CIFAR else 10

    @property
    def n_available(self) -> int:
        return len(load_images(self.data, self.folder).train.classes)

    @property
    def levels(self) -> tuple[int, ...]:
        return ()

    @property
    def degree(self) -> int:
        return 0

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> ImagesDraw:
        data = load_images(self.data, self.folder)
        share = np.bincount(data.test.classes, minlength=self.outputs) / len(data.test.classes)
        error = self.constant_error(share.tolist())
        constant_error = torch.full((len(seeds),), error, dtype=torch.float64)
        return ImagesDraw(self, tuple(seeds), constant_error, dtype, torch.device(device))


@dataclass(frozen=True)
class ImagesDraw(Draw):
    """R orders of a data set; see :class:`bfc.types.Draw`."""

    target: Images
    seeds: tuple[int, ...]
    constant_error: Tensor
    """Error of the best constant answer, (R,), float64."""
    dtype: torch.dtype
    device: torch.device
    revealed: Revealed = NOTHING_REVEALED

    @property
    def variance(self) -> Tensor:
        """Error of the best constant answer, which takes the place of a variance."""
        return self.constant_error

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        data = load_images(self.target.data, self.target.folder)
        pixels = torch.from_numpy(data.part(role).pixels)
        keys = random.keys(self.seeds, f"images/{role}").unsqueeze(1)
        order = random.uniform(keys, torch.arange(len(pixels))).argsort(1)
        index = order.gather(1, rows.cpu() % len(pixels))
        x = (pixels[index].to(torch.float64) - data.mean) / data.sd
        return x.to(self.device, self.dtype)

    def labels(self, x: Tensor) -> Tensor:
        """The class of images of the data set, found by their pixels.

        Raises ValueError for any other input.
        """
        data = load_images(self.target.data, self.target.folder)
        pixels = (x.detach().cpu().double() * data.sd + data.mean).round().long()
        hashes = hash_pixels(pixels.flatten(0, 1).numpy())
        position = np.searchsorted(data.hashes, hashes).clip(max=len(data.hashes) - 1)
        if (data.hashes[position] != hashes).any():
            raise ValueError(f"an input is no image of {self.target.data}")
        classes = torch.from_numpy(data.hash_classes[position])
        return classes.view(x.shape[:2]).to(x.device, x.dtype)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        return {}

    def select(self, index: Sequence[int]) -> ImagesDraw:
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in index),
            constant_error=self.constant_error[list(index)],
        )
