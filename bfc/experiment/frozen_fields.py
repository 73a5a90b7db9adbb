"""The fields of every component when identities were frozen: those always enter a cell's identity.

Nothing is ever added here: a field that is added to a component later enters the identity only
where it differs from its default (:mod:`bfc.experiment.identity`), and so do all fields of a
component that is added later.
"""

from __future__ import annotations

from collections.abc import Mapping

_CURVE = ("n_max", "n_ratio", "tuning_draws", "tuning_eps")
_RIDGE = ("ridge", "ridge_grid", *_CURVE)
_REGULARISED = ("regularisation", "regularisation_grid", *_CURVE)
_COMPOSITION = ("d", "L", "widths", "width_power", "alpha", "gamma", "rho", "base", "links", "law")
_TAYLOR = ("width", "activation", "init", "decay")

FROZEN_FIELDS: Mapping[str, tuple[str, ...]] = {
    "bfc.baselines.compositional.QuadraticNNGP": (*_RIDGE, "depth", "links", "bias"),
    "bfc.baselines.compositional.QuadraticNTK": (*_RIDGE, "depth", "links", "bias"),
    "bfc.baselines.features.RandomFeatures": (*_RIDGE, "number", "activation", "bias"),
    "bfc.baselines.kernels.Laplace": (*_RIDGE, "bandwidth", "bandwidth_grid"),
    "bfc.baselines.kernels.NNGP": (*_RIDGE, "depth", "depth_grid", "bias", "bias_grid"),
    "bfc.baselines.kernels.NTK": (*_RIDGE, "depth", "depth_grid", "bias", "bias_grid"),
    "bfc.baselines.kernels.Polynomial": (*_RIDGE, "degree", "degree_grid", "offset", "offset_grid"),
    "bfc.baselines.kernels.RBF": (*_RIDGE, "bandwidth", "bandwidth_grid"),
    "bfc.baselines.lasso.Lasso": (*_REGULARISED, "degree", "basis"),
    "bfc.baselines.linearised.Linearised": (*_RIDGE, "depth", "width", "activation", "bias"),
    "bfc.baselines.monomials.Monomials": (*_RIDGE, "degree", "basis"),
    "bfc.baselines.nuclear_norm.NuclearNorm": (*_REGULARISED, "n_min", "iterations", "tolerance"),
    "bfc.baselines.relu_power.ReLUPowerNTK": (*_RIDGE, "power"),
    "bfc.baselines.sequential.Sequential": (*_REGULARISED, "stages", "degree", "passed"),
    "bfc.baselines.three_layer.ThreeLayer": (*_REGULARISED, "stage_one", "share", "units"),
    "bfc.engine.optimizers.Adam": (
        "lr",
        "batch",
        "sampling",
        "clip",
        "warmup",
        "decay",
        "betas",
        "eps",
    ),
    "bfc.engine.optimizers.SGD": ("lr", "batch", "sampling", "clip", "warmup", "decay", "momentum"),
    "bfc.learners.conv_resnet.ConvResNet": ("n", "widths", "activation", "remember"),
    "bfc.learners.coupled_network.CoupledNetwork": _TAYLOR,
    "bfc.learners.mean_field.MeanField": (
        "m1",
        "m2",
        "alpha",
        "anisotropy",
        "spread",
        "offset",
        "signed",
        "kinks",
        "readout_sd",
        "rates_of",
        "rho",
        "clip",
    ),
    "bfc.learners.mlp.MLP": (
        "widths",
        "activation",
        "input_scale",
        "weight_sd",
        "bias_sd",
        "readout_sd",
    ),
    "bfc.learners.ntk_model.NTKModel": _TAYLOR,
    "bfc.learners.quadratic_densenet.QuadraticDenseNet": ("widths", "init", "alpha"),
    "bfc.learners.quadratic_taylor.QuadraticTaylor": _TAYLOR,
    "bfc.learners.resnet.ResNet": ("blocks", "width", "inner", "activation", "branch", "remember"),
    "bfc.learners.schedules.Phase": (
        "train",
        "name",
        "each",
        "times",
        "until",
        "penalties",
        "frozen",
    ),
    "bfc.learners.schedules.Schedule": ("phases", "name", "steps", "check_every", "patience", "k"),
    "bfc.learners.two_layer_quadratic.TwoLayerQuadratic": ("width", "init"),
    "bfc.learners.untied_quadratic.UntiedQuadratic": (
        "widths",
        "init",
        "alpha",
        "wide",
        "truncate",
        "distill",
    ),
    "bfc.measure.base.Measure": ("validation", "validation_size", "test", "tune", "fresh"),
    "bfc.measure.online.Online": (
        "validation",
        "validation_size",
        "test",
        "tune",
        "ratio",
        "fresh",
    ),
    "bfc.measure.tuning.Tune": ("lr", "n", "draws", "eps"),
    "bfc.probes.correction_law.CorrectionLaw": ("rows", "looks", "draws"),
    "bfc.probes.feature_change.FeatureChange": ("rows",),
    "bfc.probes.feature_error.FeatureError": ("rows", "looks"),
    "bfc.probes.mean_field.MeanFieldProbe": ("rows", "looks", "profile", "reach", "neurons"),
    "bfc.probes.movement.Movement": ("rows", "draws", "looks"),
    "bfc.probes.radial.RadialProbe": ("rows", "looks", "profile", "reach"),
    "bfc.representations.degree2.Degree2": ("constant",),
    "bfc.representations.learned.Learned": ("method", "labels", "units", "step", "steps", "lr"),
    "bfc.representations.random_features.RandomFeatures": (
        "activation",
        "features",
        "multiple",
        "whitening",
        "keep",
        "eps",
        "n0",
    ),
    "bfc.targets.images.Images": ("data", "loss_by", "judged"),
    "bfc.targets.inputs.Mixture": ("components", "separation", "spread", "skew"),
    "bfc.targets.low_rank.LowRank": ("d", "degrees", "alpha", "basis", "law", "cosine"),
    "bfc.targets.parity.Parity": ("d", "degree", "law"),
    "bfc.targets.quadratic_densenet.QuadraticDenseNet": (*_COMPOSITION, "quadrature"),
    "bfc.targets.quadratic_feature.QuadraticFeature": (
        "d",
        "alpha",
        "features",
        "product",
        "rank",
        "law",
    ),
    "bfc.targets.radial.Radial": (
        "d",
        "profile",
        "frequency",
        "law",
        "edge_ratio",
        "inner",
        "outer",
    ),
    "bfc.targets.random_polynomial.RandomPolynomial": (
        *_COMPOSITION,
        "quadrature",
        "terms",
        "span",
        "spectrum",
    ),
    "bfc.targets.sphere_product.SphereProduct": ("d", "frequency"),
    "bfc.targets.tent.Tent": ("d", "folds"),
    "bfc.tasks.agnostic.Agnostic": ("size", "judge"),
    "bfc.tasks.classification.Classification": ("margin", "loss"),
    "bfc.tasks.regression.Regression": ("noise",),
}
"""Identity name → names of its fields in the identity."""
