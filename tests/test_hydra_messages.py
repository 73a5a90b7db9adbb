"""What is read in Hydra's messages, against the versions of Hydra that are allowed.

Each pattern has a command whose sentence is another without it, so that none stays that no message
of Hydra needs, and a version of Hydra that words a message differently is noticed.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commands import run

from bfc.hydra_plugins import hydra_errors

COMMANDS = {
    "_KEY": ["optimzer=sgd", "~nothing.here"],
    "_OPTION": ["schedule=stagd", "target=[a,b]"],
    "_AVAILABLE": ["hydra/sweeper=basc"],
    "_PRESENT": ["+target.d=4"],
    "_OTHER_VALUE": ["~target.d=99"],
    "_NO_DEFAULT": ["~target=parity"],
    "_CHOSEN_TWICE": ["+optimizer=sgd"],
    "_SEVERAL": ["optimizer.lr=0,01"],
    "_SWEEP": ["'target.d=range(3)'"],
    "_ARGUMENT": ["-m +hydra.sweeper.foo=3"],
    "_DECIMAL_COMMA": ["optimizer.lr=0,01"],
    "_FLAGS": ["-m --cfg job", "--resolve"],
}
"""Pattern of :mod:`bfc.hydra_plugins.hydra_errors` → commands, one for each alternative in it."""
CASES = [(name, line) for name, lines in COMMANDS.items() for line in lines]


def test_every_pattern_has_a_command():
    values = vars(hydra_errors).items()
    assert set(COMMANDS) == {name for name, value in values if isinstance(value, re.Pattern)}


def explain(line: str, folder: Path) -> str:
    """What the command says; empty where its error is taken for a bug."""
    try:
        return run(*shlex.split(line), cwd=folder).err
    except Exception:
        return ""


@pytest.mark.parametrize(("name", "line"), CASES)
def test_the_sentence_of_a_command_needs_its_pattern(name, line, tmp_path, monkeypatch):
    sentence = explain(line, tmp_path)
    assert sentence.startswith("bfc: ") and sentence.count("\n") == 1, sentence
    monkeypatch.setattr(hydra_errors, name, re.compile("(?!)"))
    assert explain(line, tmp_path) != sentence
