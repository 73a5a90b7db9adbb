"""Methods that yield a whole learning curve per seed."""

from bfc.exports import offer_classes

__getattr__, __dir__ = offer_classes(__name__, __path__[0])
