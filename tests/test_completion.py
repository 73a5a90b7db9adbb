"""What the shell completes for ``bfc``: asked as an installed completion asks, by its variables."""

import pytest
from typer.testing import CliRunner

from bfc.application.completion import complete_override
from bfc.cli import application
from bfc.paths import SWEEPS
from bfc.studies import study_node

LINES = {
    "bfc launch +sweeps=bfc_ch": ["+sweeps=bfc_chain"],
    "bfc plan +sw": ["+sweeps="],
    "bfc launch schedule=algo": ["schedule=algorithm1"],
    "bfc launch hydra/launcher=sl": ["hydra/launcher=slurm"],
    "bfc launch +sweeps=bfc_chain study.size=d": ["study.size=demo"],
    "bfc report --study depth_fl": ["depth_floor"],
    "bfc reproduce -s depth_fl": ["depth_floor"],
    "bfc reproduce schedule=algo": ["schedule=algorithm1"],
    "bfc sync --study depth_fl": ["depth_floor"],
    "bfc dashboard depth_fl": ["depth_floor"],
}


def complete(shell, line, **changes):
    """The words that are offered for a line."""
    variables = {"_BFC_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, **changes}
    result = CliRunner().invoke(application(), env=variables, prog_name="bfc")
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_completed_with_the_names_that_fit(line):
    output = complete("fish", line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert [text.split("\t")[0] for text in output.split()] == LINES[line]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bfc", "launch", "+sweeps", "=", "bfc_ch"], ["bfc_chain"]),
        (["bfc", "launch", "+sweeps", "="], sorted(path.stem for path in SWEEPS.glob("*.yaml"))),
        (
            ["bfc", "launch", "+sweeps", "=", "bfc_chain", "study.size", "="],
            list(study_node("bfc_chain")["sizes"]),
        ),
        (["bfc", "plan", "schedule", "=", "algo"], ["algorithm1"]),
    ],
)
def test_bash_which_splits_words_at_the_equals_sign_gets_what_follows_it(words, expected):
    output = complete("bash", "", COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1))
    assert output.split() == expected


def test_nothing_is_offered_where_nothing_is_known():
    class Context:
        params = {"overrides": None}  # noqa: RUF012

    for word in ("target.d=", "nothing=", "+sweeps=nothing", "zzz"):
        assert complete_override(Context(), word) == []
