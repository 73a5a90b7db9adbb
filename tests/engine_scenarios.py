"""Settings whose trainings are compared with the plain loop and with generated code."""

from __future__ import annotations

from dataclasses import replace

from compared_trainings import LAYERWISE, STAGED, TRAININGS

from bfc.learners.quadratic_densenet import QuadraticDenseNet
from bfc.optimizers.adam import Adam
from bfc.optimizers.sgd import SGD
from bfc.targets.quadratic_densenet import QuadraticDenseNet as Teacher
from bfc.types import Training


class WithOptionalParts(QuadraticDenseNet):
    """A learner with every optional part of the contract."""

    def rates(self, target):
        return {"bias": 3.0, "K3_2": 0.1}

    def penalties(self, target):
        return ("decay",)

    def penalty(self, params, present, weights):
        if "decay" not in weights:
            return None
        return weights["decay"] * params["K2_0"].square().sum((1, 2))

    def on_phase_start(self, params, draw, stage):
        return {"K3_0": 0.5 * params["K3_0"]} if stage.name == "level3" else {}

    def project(self, params):
        params["K2_0"].clamp_(-0.4, 0.4)


PENALISED = replace(STAGED, phases=(replace(STAGED.phases[0], penalties={"decay": 0.1}),))
UNTIL = replace(STAGED, steps=24, phases=(replace(STAGED.phases[0], until=0.9),))
SCENARIOS = {
    "fresh data": ({"validation": "none"}, (Training(0, 0), Training(0, 1))),
    "no validation": ({"validation": "none"}, TRAININGS),
    "free validation": ({"validation": "free", "validation_size": 7}, TRAININGS),
    "one held out": (
        {"validation_size": 0.01},
        (Training(2, 0), Training(30, 0), Training(2000, 3)),
    ),
    "most held out": ({"validation_size": 0.9}, TRAININGS),
    "no clip, no warm-up": ({"optimizer": Adam(lr=0.01, batch=8, warmup=0, clip=None)}, TRAININGS),
    "tight clip, momentum": (
        {"optimizer": SGD(lr=0.3, batch=8, warmup=2, clip=0.05, momentum=0.9)},
        TRAININGS,
    ),
    "constant rate": (
        {"optimizer": SGD(lr=0.02, batch=8, warmup=5, decay="constant", momentum=0.5)},
        TRAININGS,
    ),
    "other moments": (
        {"optimizer": Adam(lr=0.02, batch=8, warmup=2, betas=(0.5, 0.8), eps=1e-2)},
        TRAININGS,
    ),
    "warm-up to the last step": ({"optimizer": Adam(lr=0.02, batch=8, warmup=11)}, TRAININGS),
    "epochs": ({"optimizer": Adam(lr=0.02, batch=9, warmup=2, sampling="epochs")}, TRAININGS),
    "epochs, a batch above n": (
        {"optimizer": Adam(lr=0.02, batch=100, warmup=2, sampling="epochs")},
        TRAININGS,
    ),
    "a batch above n": ({"optimizer": Adam(lr=0.02, batch=100, warmup=2)}, TRAININGS),
    "longer": ({"longer": 2, "schedule": replace(STAGED, steps=10)}, TRAININGS),
    "trained scales": ({"learner": QuadraticDenseNet(alpha="trained", widths=(4, 3))}, TRAININGS),
    "paper's base, dense": (
        {"target": Teacher(d=4, L=3, widths=(3, 2), base="x_squared", links="dense")},
        TRAININGS,
    ),
    "depth 4": ({"target": Teacher(d=4, L=4, widths=(3, 2, 2))}, TRAININGS),
    "one step per check": ({"schedule": replace(LAYERWISE, check_every=1, steps=8)}, TRAININGS),
    "no check before the end": ({"schedule": replace(STAGED, check_every=1000)}, TRAININGS),
    "one replica": ({}, TRAININGS[:1]),
}
"""What is changed of the recipe, and the trainings."""
