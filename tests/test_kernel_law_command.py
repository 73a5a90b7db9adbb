"""``bfc kernel-law`` prints spectrum, risks and n*, and refuses mistakes in a sentence."""

from __future__ import annotations

import pytest
import typer.testing

from bfc import cli
from bfc.baselines.kernels import NTK
from bfc.bounds.kernel_law import predict_risks
from bfc.errors import UserError
from bfc.targets.hierarchy import Hierarchy

RUNNER = typer.testing.CliRunner()
SMALL = ("v=3", "m=3", "classes=3")


def test_it_prints_the_spectrum_the_risks_and_what_is_needed() -> None:
    arguments = ["kernel-law", *SMALL, "baseline.depth=2", "--seeds", "1", "--n", "100,1000"]
    done = RUNNER.invoke(cli.application(), arguments)
    assert done.exit_code == 0, done.output
    title, spectrum, risks, samples = done.output.strip().split("\n\n")
    assert title == "ReLU NTK (depth 2) on strings of d = 8 symbols out of v = 3"
    orders = [line.split() for line in spectrum.splitlines()[1:]]
    assert [int(row[0]) for row in orders] == list(range(1, 9))
    assert [float(row[1]) for row in orders][:3] == [16, 112, 448]
    assert sum(float(row[2]) for row in orders) == pytest.approx(1, abs=1e-3)
    printed = [float(line.split()[1]) for line in risks.splitlines()[1:]]
    target = Hierarchy(v=3, m=3, classes=3)
    predicted = predict_risks(target, NTK(depth=2), 1e-8, 0, [100, 1000])
    assert printed == pytest.approx(predicted, abs=1e-4)
    assert samples.endswith("strings: 6561")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("v=8", "m=3", "classes=8"), "unless its strings are uniform"),
        (("vv=3",), "target.vv: no such key"),
        (("baseline.deep=3",), "baseline.deep: no such key; did you mean depth?"),
        (("baseline.depth=auto",), "baseline.depth=auto: must be a number"),
        (("--kernel", "ntkk"), "baseline=ntkk: no such baseline; did you mean ntk?"),
        (("--kernel", "lasso"), "--kernel=lasso: is no kernel ridge regression"),
        (("--kernel", "random_features"), "has no kernel law"),
        (("--n", "0"), "--n=0: must be integers >= 1"),
        (("--eps", "2"), "--eps=2.0: must be a number between 0 and 1"),
        (("--ridge", "-1"), "--ridge=-1.0: must be a number >= 0"),
        (("--seeds", "0"), "--seeds=0: must be an integer from 1 to 1024"),
    ],
)
def test_a_mistake_is_refused_and_nothing_is_printed(arguments, message: str) -> None:
    done = RUNNER.invoke(cli.application(), ["kernel-law", *arguments])
    assert isinstance(done.exception, UserError) and message in str(done.exception)
    assert done.output == ""
