"""Which labels are seen and which error is judged."""

from bfc.exports import offer_classes

__getattr__, __dir__ = offer_classes(__name__, __path__[0])
