"""Schedules: ordered phases over the names of parameter groups.

Joint, staged, layer-wise and refitted training are the same learner under different schedules, so
what separates them is visible as a few lines of YAML. A schedule knows group names and the range of
levels; it knows nothing of the inside of any learner.
"""

from bfc.schedules.named_schedules import load_schedule
from bfc.schedules.phases import Phase
from bfc.schedules.schedule import Schedule

__all__ = ["Phase", "Schedule", "load_schedule"]
