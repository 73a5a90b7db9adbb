"""Data sets of images, read from scikit-learn or from a folder; nothing is ever downloaded."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bfc import random
from bfc.errors import UserError

VALIDATION_SHARE = 0.1
"""Share of the training images that only the role ``validation`` sees."""
DIGITS_TEST_SHARE = 0.25
"""Share of the digits that are for testing."""


@dataclass(frozen=True)
class CifarFiles:
    """Where a CIFAR data set lies in its unpacked archive."""

    folder: str
    """Folder that the archive unpacks to."""
    training: tuple[str, ...]
    """Files of training images."""
    test: str
    """File of test images."""
    label_key: bytes
    """Key of the labels in every file."""
    classes: int
    """Number of classes."""


CIFAR = {
    "cifar10": CifarFiles(
        "cifar-10-batches-py",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
        b"labels",
        10,
    ),
    "cifar100": CifarFiles("cifar-100-python", ("train",), "test", b"fine_labels", 100),
}


class LabelledImages(NamedTuple):
    """Images with their classes."""

    pixels: np.ndarray
    """(N, d) uint8."""
    classes: np.ndarray
    """(N,) int64."""

    def rows(self, index: slice | np.ndarray) -> LabelledImages:
        """Some of the images."""
        return LabelledImages(self.pixels[index], self.classes[index])


@dataclass(frozen=True)
class ImageData:
    """A data set in three parts."""

    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    mean: float
    """Mean of all training pixels."""
    sd: float
    """Standard deviation of all training pixels."""
    hashes: np.ndarray
    """Hashes of all different images, increasing, int64."""
    hash_classes: np.ndarray
    """The class of the image of every hash, int64."""

    def part(self, role: str) -> LabelledImages:
        """The images of a role.

        Roles without a part of their own (unlabelled reference rows, probes) see the training
        images.
        """
        if role == "validation":
            return self.validation
        return self.test if role == "test" else self.train


@lru_cache(maxsize=2)
def load_images(data: str, folder: str) -> ImageData:
    """The data set ``data``; raises :class:`bfc.errors.UserError` where it cannot be read."""
    available, test = _load_digits() if data == "digits" else _load_cifar(data, folder)
    held_out = round(VALIDATION_SHARE * len(available.classes))
    train = available.rows(slice(held_out, None))
    everything = _concatenate([available, test])
    hashes, position = np.unique(hash_pixels(everything.pixels), return_index=True)
    return ImageData(
        train=train,
        validation=available.rows(slice(held_out)),
        test=test,
        mean=float(train.pixels.mean(dtype=np.float64)),
        sd=float(train.pixels.std(dtype=np.float64)),
        hashes=hashes,
        hash_classes=everything.classes[position],
    )


def _concatenate(parts: list[LabelledImages]) -> LabelledImages:
    return LabelledImages(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.classes for part in parts]),
    )


def hash_pixels(pixels: np.ndarray) -> np.ndarray:
    """One int64 per row of pixels (N, d).

    The sum of pixel times a fixed random odd number, modulo 2^64.
    """
    words = random.bits(random.keys([0], "images/hash"), torch.arange(pixels.shape[1]))
    weights = words.numpy() | 1
    with np.errstate(over="ignore"):
        return np.asarray(pixels.astype(np.int64) @ weights)


def _load_digits() -> tuple[LabelledImages, LabelledImages]:
    """Training and test images in a fixed random order."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(
            "target.data=digits: comes with scikit-learn, which is not installed: "
            "pip install scikit-learn"
        ) from error
    pixels, classes = load_digits(return_X_y=True)
    digits = LabelledImages(pixels.astype(np.uint8), classes.astype(np.int64))
    keys = random.keys([0], "images/digits").unsqueeze(1)
    order = random.uniform(keys, torch.arange(len(classes)))[0].argsort().numpy()
    shuffled = digits.rows(order)
    count = round(DIGITS_TEST_SHARE * len(classes))
    return shuffled.rows(slice(count, None)), shuffled.rows(slice(count))


def _load_cifar(data: str, folder: str) -> tuple[LabelledImages, LabelledImages]:
    """Training and test images."""
    files = CIFAR[data]
    path = Path(folder, files.folder)
    training = [_read_batch(path / name, files.label_key) for name in files.training]
    return _concatenate(training), _read_batch(path / files.test, files.label_key)


class _ArrayUnpickler(pickle.Unpickler):
    """Reads what the archives hold, arrays in dictionaries.

    Anything that would run code is refused.
    """

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


def _read_batch(path: Path, label_key: bytes) -> LabelledImages:
    try:
        with path.open("rb") as file:
            batch = _ArrayUnpickler(file, encoding="bytes").load()
        pixels = np.asarray(batch[b"data"], dtype=np.uint8)
        classes = np.asarray(batch[label_key], dtype=np.int64)
    except (OSError, pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError) as error:
        raise UserError(
            f"target.folder: {path.name} is missing or no batch of this data set in its python "
            f"version ({error})"
        ) from error
    is_table = pixels.ndim == 2 and pixels.shape[1] == 3072
    if not is_table or len(pixels) != len(classes) or not len(pixels):
        raise UserError(
            f"target.folder: {path.name} holds no rows of 3072 pixels with as many labels"
        )
    return LabelledImages(pixels, classes)
