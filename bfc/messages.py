"""What a user sees of what the library logs.

Library code logs under ``bfc`` and decides nothing about output. An entry point calls
:func:`show_messages`, and then every message is a line: errors on standard error, everything else
on standard output. In a notebook Python's own rule holds, which shows warnings alone.
"""

from __future__ import annotations

import logging

from bfc.streams import print_line

LOGGER = logging.getLogger("bfc")


class LineHandler(logging.Handler):
    """Prints a message as it is, without level or time, where the standard streams are now."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        print_line(record.getMessage(), to_stderr=record.levelno >= logging.ERROR)


def show_messages() -> None:
    """Print the messages of the library from now on; further calls change nothing."""
    LOGGER.setLevel(logging.INFO)
    if not any(isinstance(handler, LineHandler) for handler in LOGGER.handlers):
        LOGGER.addHandler(LineHandler())
