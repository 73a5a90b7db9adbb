"""What is logged and what a user sees of it."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from commands import environment

from bfc.messages import LineHandler, show_messages

LIBRARY = """
import bfc

target = bfc.targets.Parity(d=6, degree=2)
method = bfc.Method(bfc.learners.MLP(widths=(8,)), "joint", bfc.SGD(batch=8, warmup=2), steps=8)
bfc.run(target, method, n=[16], seeds=2, results="results")
bfc.run(target, method, n=[16], seeds=2, results="results")
"""


def test_the_library_prints_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("level", "out", "err"),
    [
        (logging.DEBUG, "", ""),
        (logging.INFO, "a 100 % message\n", ""),
        (logging.WARNING, "a 100 % message\n", ""),
        (logging.ERROR, "", "a 100 % message\n"),
    ],
)
def test_a_message_is_a_line_as_it_stands(level, out, err, capsys):
    show_messages()
    logging.getLogger("bfc.store.cells").log(level, "a 100 % message")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (out, err)


def test_messages_are_shown_once_however_often_that_is_asked_for():
    show_messages()
    show_messages()
    handlers = logging.getLogger("bfc").handlers
    assert [type(handler) for handler in handlers] == [LineHandler]
