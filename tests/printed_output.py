"""What a page shows as printed, compared with what its code prints.

A block marked ``output`` shows lines that the code before it prints, in their order; others may be
left out. Words are compared literally, and numbers to two per cent or one unit of their last
decimal, since processors round sums differently. ``…`` stands for a word that depends on time or on
the machine. A page shows tables without the lines between their columns.
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)")
RELATIVE_TOLERANCE = 0.02
BETWEEN_COLUMNS = str.maketrans("│┃", "  ")


def find_missing_line(shown: str, printed: str) -> str | None:
    """The first shown line that does not follow those before it in what was printed."""
    rest = iter(printed.splitlines())
    for line in shown.splitlines():
        if not any(lines_agree(line, printed_line) for printed_line in rest):
            return line
    return None


def lines_agree(shown: str, printed: str) -> bool:
    words, printed_words = shown.split(), printed.translate(BETWEEN_COLUMNS).split()
    return len(words) == len(printed_words) and all(map(words_agree, words, printed_words))


def words_agree(shown: str, printed: str) -> bool:
    if shown == "…":
        return True
    if NUMBER.sub("#", shown) != NUMBER.sub("#", printed):
        return False
    return all(map(numbers_agree, NUMBER.findall(shown), NUMBER.findall(printed)))


def numbers_agree(shown: str, printed: str) -> bool:
    decimals = len(shown.partition(".")[2])
    value, printed_value = (float(text.replace(",", "")) for text in (shown, printed))
    last_decimal = 1.001 * 10.0**-decimals if decimals else 0.0
    tolerance = max(RELATIVE_TOLERANCE * abs(printed_value), last_decimal)
    return abs(value - printed_value) <= tolerance
