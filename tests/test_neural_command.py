"""``bfc harmonics`` prints the decomposition of a target, and refuses mistakes in a sentence."""

from __future__ import annotations

import pytest
import typer.testing
from commands import run

from bfc import cli
from bfc.errors import UserError

RUNNER = typer.testing.CliRunner()


def print_harmonics(*arguments: str) -> list[list[str]]:
    """The words of every line that is printed."""
    done = RUNNER.invoke(cli.application(), ["harmonics", *arguments])
    assert done.exit_code == 0, done.output
    return [line.split() for line in done.output.splitlines()]


def test_a_fourth_power_is_mostly_quadratic() -> None:
    head, *rows = print_harmonics("low_rank", "basis=power", "--d", "8,24")
    assert head == ["d", "degree", "dimension", "share", "risk", "left"]
    assert rows == [
        ["8", "2", "35", "0.8537", "0.1463"],
        ["8", "4", "294", "0.1463", "0.0000"],
        ["24", "2", "299", "0.7959", "0.2041"],
        ["24", "4", "17250", "0.2041", "0.0000"],
    ]


def test_a_pure_degree_has_the_whole_variance() -> None:
    _, *rows = print_harmonics("quadratic_feature", "alpha=[0, 1]", "--d", "8")
    assert rows == [["8", "4", "294", "1.0000", "0.0000"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("low_rnk",), "target=low_rnk: no such target; did you mean low_rank?"),
        (("parity",), "target=parity: has no exact decomposition"),
        (("low_rank", "basis"), "basis: must be key=value"),
        (("low_rank", "--d", "x"), "--d=x: must be integers"),
        (("low_rank", "bass=power"), "target.bass: no such key; did you mean basis?"),
        (("low_rank", "degrees=[0]"), "target.degrees=[0]"),
    ],
)
def test_a_mistake_is_refused_and_nothing_is_printed(arguments, message: str) -> None:
    done = RUNNER.invoke(cli.application(), ["harmonics", *arguments])
    assert isinstance(done.exception, UserError) and message in str(done.exception)
    assert done.output == ""


def test_a_job_says_what_its_target_is_made_of(tmp_path) -> None:
    done = run(
        "target=low_rank",
        "target.d=8",
        "target.basis=power",
        "learner=none",
        "baseline=polynomial",
        "baseline.ridge=1e-3",
        "baseline.n_max=20",
        "measure.test=64",
        "measure.seeds=1",
        cwd=tmp_path,
    )
    line = "target at d=8: degree 2: 0.8537 of the variance, dimension 35; degree 4: 0.1463 of the"
    assert done.status == 0 and line in done.out, done
