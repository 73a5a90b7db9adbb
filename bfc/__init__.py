"""How many samples does a learner need for a hierarchical target, as dimension and depth grow?

``targets``, ``learners``, ``engine``, ``baselines``, ``probes`` and ``measure`` are a plain torch
library (no Hydra, no W&B, no plotting); ``config``, ``store``, ``train``, ``trackers`` and
``launch`` run it as an experiment whose results ``analysis`` reads.
"""

__version__ = "0.1.0"
