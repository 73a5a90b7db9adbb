"""Images with their classes as a target, because the paper's own evidence is about networks on
CIFAR: scikit-learn's 8 x 8 digits, which come with that package and run anywhere, and CIFAR-10 or
CIFAR-100 from a folder on this machine. Nothing is ever downloaded."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from bfc import random
from bfc.errors import UserError, require
from bfc.types import Draw, Target

HELD = 0.1
"""Share of the images that are not for testing that only the role ``validation`` sees."""
DIGITS_TEST = 0.25
CIFAR = {
    "cifar10": (
        "cifar-10-batches-py",
        [*(f"data_batch_{i}" for i in range(1, 6))],
        "test_batch",
        b"labels",
        10,
    ),
    "cifar100": ("cifar-100-python", ["train"], "test", b"fine_labels", 100),
}
"""Data set → folder that its archive unpacks to, training files, test file, key of the labels,
classes."""


@dataclass(frozen=True)
class Images(Target):
    """The class of an image, 0 ... ``outputs`` - 1; a method answers with one score per class,
    shape (R, B, outputs).

    Trained by ``loss`` (cross-entropy, or squares against one-hot), judged by ``judged``: the share
    of wrong classes, or squares, relative to the best constant answer. Pixels are scaled to mean 0
    and variance 1 over the training images. A seed shuffles the images: row i of ``train`` is the
    i-th of its order, rows beyond the last begin anew (epochs); ``test`` holds the test images of
    the data set (of the digits, a quarter, the same for all seeds). Raises
    :class:`bfc.errors.UserError` where the data are not on this machine.
    """

    identity_name: ClassVar[str] = "bfc.targets.images.Images"
    version: ClassVar[int] = 1

    data: Literal["digits", "cifar10", "cifar100"] = "digits"
    folder: str = field(default="data", metadata={"identity": False})
    """Where the unpacked archive of a CIFAR lies; unused by the digits. The same data in another
    place are the same results."""
    loss_by: Literal["cross_entropy", "squared"] = "cross_entropy"
    judged: Literal["zero_one", "squared"] = "zero_one"

    def __post_init__(self) -> None:
        if self.data in CIFAR:
            path = Path(self.folder, CIFAR[self.data][0])
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
    def d(self) -> int:
        return math.prod(self.shape)

    @property
    def outputs(self) -> int:
        return CIFAR[self.data][-1] if self.data in CIFAR else 10

    @property
    def n_available(self) -> int:
        return len(_load(self.data, self.folder).train[1])

    @property
    def levels(self) -> tuple[int, ...]:
        return ()

    @property
    def degree(self) -> int:
        return 0

    def _one_hot(self, out: Tensor, y: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(y.long(), self.outputs).to(out.dtype)

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        if self.loss_by == "squared":
            return (out - self._one_hot(out, y)).square().sum(-1)
        return -out.log_softmax(-1).gather(-1, y.long().unsqueeze(-1)).squeeze(-1)

    def error(self, out: Tensor, y: Tensor) -> Tensor:
        if self.judged == "squared":
            return (out - self._one_hot(out, y)).square().sum(-1)
        return (out.argmax(-1) != y.long()).to(out.dtype)

    def draw(
        self,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> ImagesDraw:
        data = _load(self.data, self.folder)
        share = np.bincount(data.test[1], minlength=self.outputs) / len(data.test[1])
        chance = (
            1 - share.max() if self.judged == "zero_one" else float((share * (1 - share)).sum())
        )
        return ImagesDraw(
            self,
            tuple(seeds),
            torch.full((len(seeds),), chance, dtype=torch.float64),
            dtype,
            torch.device(device),
        )


@dataclass(frozen=True)
class ImagesDraw(Draw):
    """R orders of a data set; see :class:`bfc.types.Draw`."""

    target: Images
    seeds: tuple[int, ...]
    variance: Tensor
    """What the best constant answer is judged with."""
    dtype: torch.dtype
    device: torch.device
    revealed: dict[str, Tensor] = field(default_factory=dict)

    @property
    def variance_error(self) -> Tensor:
        return torch.zeros_like(self.variance)

    def inputs(self, role: str, rows: Tensor) -> Tensor:
        data = _load(self.target.data, self.target.folder)
        pixels = torch.from_numpy(data.part(role)[0])
        order = random.uniform(
            random.keys(self.seeds, f"images/{role}").unsqueeze(1), torch.arange(len(pixels))
        ).argsort(1)
        place = order.gather(1, rows.cpu() % len(pixels))
        x = (pixels[place].to(torch.float64) - data.mean) / data.sd
        return x.to(self.device, self.dtype)

    def labels(self, x: Tensor) -> Tensor:
        """The class of images of the data set, found by their pixels; ValueError for any other
        input."""
        data = _load(self.target.data, self.target.folder)
        pixels = (x.detach().cpu().double() * data.sd + data.mean).round().long()
        key = _hash(pixels.flatten(0, 1).numpy())
        place = np.searchsorted(data.keys, key).clip(max=len(data.keys) - 1)
        if (data.keys[place] != key).any():
            raise ValueError(f"an input is no image of {self.target.data}")
        return torch.from_numpy(data.classes[place]).view(x.shape[:2]).to(x.device, x.dtype)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        return {}

    def select(self, index: Sequence[int]) -> ImagesDraw:
        return replace(
            self, seeds=tuple(self.seeds[i] for i in index), variance=self.variance[list(index)]
        )


@dataclass(frozen=True)
class _Data:
    """Images (N, d) uint8 with classes (N,) int64, in three parts; scaling; and the class of every
    image by a hash of its pixels."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    mean: float
    sd: float
    keys: np.ndarray
    classes: np.ndarray

    def part(self, role: str) -> tuple[np.ndarray, np.ndarray]:
        """Roles without a part of their own (unlabelled reference rows, probes) see the training
        images, in an order of their own."""
        return {"validation": self.validation, "test": self.test}.get(role, self.train)


@lru_cache(maxsize=2)
def _load(data: str, folder: str) -> _Data:
    first, test = _digits() if data == "digits" else _cifar(data, folder)
    held = round(HELD * len(first[1]))
    train, validation = (first[0][held:], first[1][held:]), (first[0][:held], first[1][:held])
    pixels, classes = np.concatenate([first[0], test[0]]), np.concatenate([first[1], test[1]])
    keys, place = np.unique(_hash(pixels), return_index=True)
    mean, sd = float(train[0].mean(dtype=np.float64)), float(train[0].std(dtype=np.float64))
    return _Data(train, validation, test, mean, sd, keys, classes[place])


def _hash(pixels: np.ndarray) -> np.ndarray:
    """One int64 per row of pixels: the sum of pixel times a fixed random odd number, modulo 2^64."""
    weights = (
        random.bits(random.keys([0], "images/hash"), torch.arange(pixels.shape[1])).numpy() | 1
    )
    with np.errstate(over="ignore"):
        return pixels.astype(np.int64) @ weights


def _digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            "target.data=digits: comes with scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
    pixels, classes = load_digits(return_X_y=True)
    order = (
        random.uniform(random.keys([0], "images/digits").unsqueeze(1), torch.arange(len(classes)))[
            0
        ]
        .argsort()
        .numpy()
    )
    pixels, classes = pixels.astype(np.uint8)[order], classes.astype(np.int64)[order]
    count = round(DIGITS_TEST * len(classes))
    return (pixels[count:], classes[count:]), (pixels[:count], classes[:count])


def _cifar(
    data: str, folder: str
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    name, training, test, key, _ = CIFAR[data]
    path = Path(folder, name)
    parts = [_batch(path / file, key) for file in training]
    return (np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts])), _batch(
        path / test, key
    )


class _Plain(pickle.Unpickler):
    """Reads what the archives hold, arrays in dictionaries, and refuses anything that would run
    code."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a data set")


def _batch(path: Path, key: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file:
            batch = _Plain(file, encoding="bytes").load()
        pixels, classes = (
            np.asarray(batch[b"data"], dtype=np.uint8),
            np.asarray(batch[key], dtype=np.int64),
        )
    except (OSError, pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError) as error:
        raise UserError(
            f"target.folder: {path.name} is missing or no batch of this data set in its python version ({error})"
        ) from error
    if (
        pixels.ndim != 2
        or pixels.shape[1] != 3072
        or len(pixels) != len(classes)
        or not len(pixels)
    ):
        raise UserError(
            f"target.folder: {path.name} holds no rows of 3072 pixels with as many labels"
        )
    return pixels, classes
