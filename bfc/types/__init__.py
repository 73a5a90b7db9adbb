"""Every contract of the library, one file per subject; everything is imported from here.

What a target, a task, a representation, a learner, a schedule, an optimizer, a probe, a baseline, a
measure, an observer and a tracker must offer. Read the file of a kind once and you can add one as
one Python file and one YAML, with no registry to edit.

Shapes: R replicas (trainings fused in one stack, one seed each), B rows, d input coordinates, L the
depth. Every component is a frozen dataclass: its fields are its YAML keys, its ``__post_init__``
refuses values out of range with a :class:`bfc.errors.UserError`; types are checked before, by
:class:`bfc.component.Component`. Its class attributes are
``identity_name``, the name under which it enters the hash of a cell whatever it is called or
wherever it lives later, and ``version``, an integer that is raised when a fix changes results or a
default changes.
"""

from bfc.types.baselines import Baseline, LearningCurve
from bfc.types.learners import Learner, Params, Probe, Progress
from bfc.types.measures import Measure, Resumption, Row, Training, Tuning
from bfc.types.observers import Observer, Tracker
from bfc.types.optimizers import Optimizer
from bfc.types.schedules import Schedule, Stage
from bfc.types.targets import (
    NOTHING_REVEALED,
    Draw,
    Revealed,
    Target,
    TargetWrapper,
    Theory,
    sample,
)

__all__ = [
    "NOTHING_REVEALED",
    "Baseline",
    "Draw",
    "Learner",
    "LearningCurve",
    "Measure",
    "Observer",
    "Optimizer",
    "Params",
    "Probe",
    "Progress",
    "Resumption",
    "Revealed",
    "Row",
    "Schedule",
    "Stage",
    "Target",
    "TargetWrapper",
    "Theory",
    "Tracker",
    "Training",
    "Tuning",
    "sample",
]
