"""How a stack of trainings takes a step: ``bfc.optimizers.Adam``, ``Lion``, ``SGD``."""

from bfc.exports import offer_classes

__getattr__, __dir__ = offer_classes(__name__, __path__[0])
