"""``python -m analysis.report RESULTS -o OUT``: from a results folder to one page.

Writes tables, exponents and the page, and on request the figures in the formats of papers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from analysis.page_limits import MAX_SHOWN_CELLS
from analysis.paper_files import FORMATS
from analysis.report_text import make_console, print_report
from analysis.report_writer import Report, write_report
from bfc.errors import UserError
from bfc.messages import show_messages
from bfc.streams import print_line, secure_streams

__all__ = ["Report", "main", "make_console", "print_report", "write_report"]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns 0 on success, 2 with one sentence on standard error where there is nothing to report.
    """
    secure_streams()
    show_messages()
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Tables, exponents, figures and one page from a results folder.",
    )
    parser.add_argument("results", help="the results folder")
    parser.add_argument(
        "-o", "--out", default="report", help="folder for the page and its files (default: report)"
    )
    parser.add_argument("--study", help="only this study")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=(),
        choices=FORMATS,
        help="draw every figure for a paper, too, in these formats",
    )
    parser.add_argument(
        "--cells",
        type=int,
        default=MAX_SHOWN_CELLS,
        help="show at most so many cells: the studies measured last (default: %(default)s)",
    )
    options = parser.parse_args(argv)
    try:
        report = write_report(
            options.results,
            options.out,
            options.study,
            formats=options.formats,
            cells=options.cells,
        )
    except (UserError, OSError) as error:
        print_line(str(error), to_stderr=True)
        return 2
    print_report(report, make_console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
