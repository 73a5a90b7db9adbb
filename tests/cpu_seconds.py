"""CPU-seconds of every test file, with the processes it started: ``pytest -p tests.cpu_seconds``.

Wall time says little on a machine that does something else besides. A fixture that several tests
share, and what is imported on first use, count with the test that comes first. With pytest-xdist
every worker counts its own tests and the controller adds them up.
"""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

SHOWN = 40
PROPERTY = "cpu seconds"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-seconds", metavar="FILE", help="write CPU-seconds per test to a CSV")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CpuSeconds(), "cpu seconds of tests")


def read_clock() -> float:
    """CPU-seconds of this process, of those that it started, and of those that these started."""
    seconds = 0.0
    process = psutil.Process()
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            seconds += sum(one.cpu_times()[:4])  # its own, and those of children that have ended
    return seconds


class CpuSeconds:
    """Counts the CPU-seconds of tests and shows the most expensive files."""

    def __init__(self) -> None:
        self.start = 0.0
        self.by_test: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self.start = read_clock()
        return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """After the fixtures; the report of the teardown takes the seconds to the controller."""
        item.user_properties.append((PROPERTY, read_clock() - self.start))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.by_test[report.nodeid] = dict(report.user_properties).get(PROPERTY, 0.0)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        by_file: Counter[str] = Counter()
        for test, seconds in self.by_test.items():
            by_file[test.partition("::")[0]] += seconds
        terminalreporter.section(f"{sum(by_file.values()):.0f} CPU-seconds in tests")
        for name, seconds in by_file.most_common(SHOWN):
            terminalreporter.line(f"{seconds:8.1f}  {name}")
        path = config.getoption("--cpu-seconds")
        if path:
            with Path(path).open("w", newline="") as file:
                csv.writer(file).writerows([s, test] for test, s in self.by_test.items())
