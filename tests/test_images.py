"""Images: the digits against scikit-learn itself, a CIFAR from generated files of the true format,
and what is refused."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bfc.engine.recipe import Recipe
from bfc.engine.trainer import train
from bfc.errors import UserError
from bfc.experiment.job import load_job
from bfc.learners.conv_resnet import ConvResNet
from bfc.learners.resnet import ResNet
from bfc.optimizers.adam import Adam
from bfc.probes.feature_change import FeatureChange
from bfc.schedules import Phase, Schedule
from bfc.targets.image_data import CIFAR
from bfc.targets.images import Images
from bfc.types import Training


def rows(count: int, replicas: int = 1, start: int = 0) -> torch.Tensor:
    return torch.arange(start, start + count).expand(replicas, -1)


def as_pixels(draw, role: str, count: int) -> list[tuple]:
    """Rows of a role as tuples of pixels: the affine map onto the whole numbers from 0 to 16."""
    x = draw.inputs(role, rows(count)).double()[0]
    low, high = float(x.min()), float(x.max())
    pixels = (x - low) / (high - low) * 16
    assert torch.allclose(pixels, pixels.round(), atol=1e-3)
    return [tuple(row) for row in pixels.round().int().tolist()]


def test_the_digits_are_those_of_scikit_learn_each_once_with_its_class():
    target = Images()
    draw = target.draw([5], torch.float64)
    pixels, classes = load_digits(return_X_y=True)
    truth = {
        tuple(row): label for row, label in zip(pixels.astype(int).tolist(), classes, strict=True)
    }
    parts = {"train": target.n_available, "test": 449, "validation": 135}
    assert sum(parts.values()) == 1797
    seen: list[tuple] = []
    for role, count in parts.items():
        images = as_pixels(draw, role, count)
        labels = draw.labels(draw.inputs(role, rows(count)))[0].tolist()
        assert labels == [truth[image] for image in images]
        seen += images
    assert sorted(seen) == sorted(tuple(row) for row in pixels.astype(int).tolist())


def test_orders_differ_by_seed_and_begin_anew_after_the_last_row():
    target = Images()
    draw = target.draw([0, 1])
    count = target.n_available
    x = draw.inputs("train", rows(count, 2))
    assert not torch.equal(x[0], x[1])
    assert torch.equal(draw.inputs("train", rows(3, 2, count)), x[:, :3])
    assert torch.equal(x[0].sort(0).values, x[1].sort(0).values)
    test = [as_pixels(target.draw([seed]), "test", 449) for seed in (0, 1)]
    assert sorted(test[0]) == sorted(test[1]) and test[0] != test[1]
    with pytest.raises(ValueError, match="no image of digits"):
        draw.labels(x + 1)


@pytest.mark.parametrize("loss_by, judged", [("cross_entropy", "zero_one"), ("squared", "squared")])
def test_losses_and_errors_are_those_of_torch_and_chance_is_the_best_constant(loss_by, judged):
    target = Images(loss_by=loss_by, judged=judged)
    draw = target.draw([0], torch.float64)
    y = draw.labels(draw.inputs("test", rows(449)))[0]
    out = torch.randn(449, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one_hot = torch.nn.functional.one_hot(y.long(), 10).double()
    squares = ((out - one_hot) ** 2).sum(1)
    cross_entropy = torch.nn.functional.cross_entropy(out, y.long(), reduction="none")
    losses = {"cross_entropy": cross_entropy, "squared": squares}
    torch.testing.assert_close(target.loss(out, y), losses[loss_by])
    errors = {"zero_one": (out.argmax(1) != y).double(), "squared": squares}
    torch.testing.assert_close(target.error(out, y), errors[judged])
    constants = {
        "zero_one": torch.eye(10, dtype=torch.float64),
        "squared": one_hot.mean(0, keepdim=True),
    }[judged]
    best = min(float(target.error(c.expand(449, -1), y).mean()) for c in constants)
    assert float(draw.chance[0]) == pytest.approx(best)


@pytest.mark.parametrize("activation", ["relu", "quadratic"])
def test_a_residual_network_learns_the_digits(build, activation):
    """With every schedule's kind of phases: layer-wise and joint; the last phase is better than a
    third of chance by far."""
    recipe = Recipe(
        Images(),
        ResNet(blocks=2, width=32, inner=32, activation=activation),
        build("schedule", "layerwise_then_joint", steps=120, check_every=40),
        Adam(lr=0.005, batch=64, warmup=20),
        "inside",
        0.2,
        test=449,
    )
    for record in train(recipe, [Training(800, 0), Training(200, 1)]):
        assert record["joint/risk"] < 0.2 and not record["diverged"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny CIFAR-10 and CIFAR-100 in the format of their authors.

    Pickled dictionaries, protocol 2, from an old numpy.
    """
    root = tmp_path_factory.mktemp("cifar")
    generator = np.random.default_rng(0)
    for files in CIFAR.values():
        (root / files.folder).mkdir()
        counts = dict.fromkeys(files.training, 20) | {files.test: 10}
        for name, count in counts.items():
            batch = {
                b"data": generator.integers(0, 256, (count, 3072), dtype=np.uint8),
                files.label_key: generator.integers(0, files.classes, count).tolist(),
                b"batch_label": b"x",
                b"filenames": [b"y"] * count,
            }
            new_names = pickle.dumps(batch, protocol=2)
            old_names = new_names.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
            (root / files.folder / name).write_bytes(old_names)
    return root


def read(path):
    return pickle.loads(
        path.read_bytes().replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"),
        encoding="bytes",
    )


@pytest.mark.parametrize("data, count, classes", [("cifar10", 100, 10), ("cifar100", 20, 100)])
def test_a_cifar_is_read_from_its_files(folder, data, count, classes):
    target = Images(data=data, folder=str(folder))
    draw = target.draw([0], torch.float64)
    assert (
        target.d == 3072
        and target.outputs == classes
        and target.n_available == count - round(0.1 * count)
    )
    files = CIFAR[data]
    key = files.label_key
    batches = [read(folder / files.folder / name) for name in files.training]
    truth = {
        bytes(row): label
        for batch in batches
        for row, label in zip(batch[b"data"], batch[key], strict=True)
    }
    test_batch = read(folder / files.folder / files.test)
    stored_images = np.concatenate([batch[b"data"] for batch in batches]).astype(float)
    for role, size in (("train", target.n_available), ("validation", round(0.1 * count))):
        x = draw.inputs(role, rows(size))[0]
        matches = [
            next(i for i, row in enumerate(stored_images) if np.corrcoef(row, image)[0, 1] > 0.9999)
            for image in x.numpy()
        ]
        assert len(set(matches)) == size
        labels = draw.labels(x.unsqueeze(0))[0]
        assert [int(v) for v in labels] == [
            truth[bytes(stored_images[i].astype(np.uint8))] for i in matches
        ]
    assert sorted(int(v) for v in draw.labels(draw.inputs("test", rows(10)))[0]) == sorted(
        test_batch[key]
    )


def test_files_that_are_no_data_set_are_refused_and_run_nothing(folder, tmp_path):
    class CreatesFile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "cifar-10-batches-py" / "data_batch_3"
    for content in (
        pickle.dumps(CreatesFile()),
        b"",
        b"junk",
        pickle.dumps({b"data": [1]}),
        pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 1]}),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match="data_batch_3"):
            Images(data="cifar10", folder=str(tmp_path / "copy")).draw([0])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"target": {"data": "cifar10", "folder": "/nowhere"}},
            "target.folder=/nowhere: must be a folder that holds cifar-10-batches-py",
        ),
        ({"target": {"data": "mnist"}}, "target.data=mnist: must be digits, cifar10 or cifar100"),
        (
            {"measure": {"n": [5000]}},
            "measure.n=5000: must be at most 1213, the training rows of images",
        ),
        (
            {"learner": "quadratic_taylor"},
            "quadratic_taylor: answers with one number, and the target has 10 classes; "
            "allowed: learner=conv_resnet, mlp, resnet",
        ),
        (
            {"learner": "none", "baseline": "lasso"},
            "lasso: answers with one number, and the target has 10 classes; "
            "allowed: baseline=clustering, irkm, laplace",
        ),
        ({"task": "classification"}, "task=classification: changes labels that are numbers"),
    ],
)
def test_bad_values_cost_one_sentence(node, changes, message):
    job = {
        "target": {**node("target", "images"), **changes.pop("target", {})},
        "learner": node("learner", "resnet"),
        "schedule": node("schedule", "joint"),
        "optimizer": node("optimizer", "adam"),
        "measure": {**node("measure", "ladder"), "n": [100, 200], **changes.pop("measure", {})},
        "compute": node("compute", "default"),
        "task": node("task", "regression"),
    }
    job |= {group: node(group, name) for group, name in changes.items()}
    with pytest.raises(UserError) as caught:
        load_job(job)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_network_of_110_layers_trains_on_a_cifar(folder):
    """Joint training of n = 18 on files of the true format.

    Every block moves, and the change of every block is measured.
    """
    recipe = Recipe(
        Images("cifar10", str(folder)),
        ConvResNet(n=18, widths=(2, 2, 2), remember=True),
        Schedule((Phase(("level{2..L}", "bias")),), steps=2, check_every=2),
        Adam(lr=0.003, batch=4, warmup=1),
        test=10,
        probe=FeatureChange(64),
    )
    (record,) = train(recipe, [Training(20, 0)])
    changes = [record[f"all/correlation/{level}"] for level in range(2, 56)]
    assert (
        all(0 < change < 1 for change in changes)
        and record["steps"] == 2
        and not record["diverged"]
    )
