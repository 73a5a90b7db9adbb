"""Tables whose rows are odd or support no number: each gives a sentence."""

import numpy as np
import pandas as pd
import pytest
from sweep_designs import EPS, simulate_trainings

from bfc.errors import UserError
from bfc.stats.exponent_fit import fit_exponent
from bfc.stats.model_comparison import LOCAL, MODELS

BAD = {
    "no columns": (lambda t: pd.DataFrame(), "no trainings", 0),
    "no rows": (lambda t: t.iloc[:0], "no trainings", 0),
    "all fail": (lambda t: t.assign(risk=1.0), "no training reaches eps at any d", 7),
    "all plateau": (
        lambda t: t.assign(risk=1.0, outcome="plateau"),
        "no training reaches eps at any d (plateau)",
        7,
    ),
    "all unfinished": (
        lambda t: t.assign(risk=1.0, outcome="optimisation_limited"),
        "all 112 trainings are optimisation-limited",
        7,
    ),
    "all succeed": (lambda t: t.assign(risk=0.0), "every training reaches eps", 7),
    "no risk": (lambda t: t.assign(risk=np.nan), "no training reaches eps at any d (diverged)", 7),
    "one d": (lambda t: t[t["d"] == 8], "one d", 1),
    "negative n": (lambda t: t.assign(n=-t["n"]), "no trainings", 0),
    "no n": (lambda t: t.assign(n=np.nan), "no trainings", 0),
    "no d": (lambda t: t.assign(d=np.nan), "no trainings", 0),
    "negative d": (lambda t: t.assign(d=-t["d"]), "no trainings", 0),
    "no seed": (lambda t: t.assign(seed=None), "no trainings", 0),
    "infinite n": (lambda t: t.assign(n=np.inf), "no trainings", 0),
    "only probes": (lambda t: t.assign(kind="confirmation"), "no trainings", 0),
    "n far too small but at one d": (
        lambda t: t.assign(risk=t["risk"].where(t["d"] == 8, 1.0)),
        "one side only: it is above",
        7,
    ),
    "one training": (lambda t: t.iloc[:1], "no exponent", 1),
    "one training per d": (lambda t: t.drop_duplicates("d"), "no exponent", 7),
}


@pytest.mark.parametrize("name", BAD)
def test_a_table_that_supports_no_number_gives_a_sentence(name):
    change, reason, rows = BAD[name]
    fit = fit_exponent(change(simulate_trainings()), EPS)
    assert np.isnan(fit.exponent) and reason in fit.reason and fit.growth.endswith(fit.reason)
    assert not (np.isfinite(fit.lo) and np.isfinite(fit.hi))
    assert len(fit.nstar) == rows and (list(fit.models), list(fit.local)) == (
        list(MODELS),
        list(LOCAL),
    )
    assert np.isnan(fit.glm.exponent) or name.startswith("n far")
    assert np.isnan(fit.smooth.exponent) and str(fit)
    open_ended = fit.nstar["censored"] != ""
    assert (
        fit.nstar.loc[open_ended, "lo"].eq(0) | fit.nstar.loc[open_ended, "hi"].eq(np.inf)
    ).all()


def test_random_tables_never_raise_and_never_give_half_a_number():
    """40 small tables of odd values and optional columns."""
    rng = np.random.default_rng(0)
    optional = {
        "outcome": [
            "success",
            "plateau",
            "data_limited",
            "optimisation_limited",
            "diverged",
            "Optimization-limited",
            None,
        ],
        "kind": ["training", "probe", "curve", "online"],
        "train_risk": [0, 0.05, 0.3, np.nan],
        "fresh": [True, False, None],
        "diverged": [True, False, None],
    }
    num_with_exponent = 0
    for _ in range(40):
        size = int(rng.integers(1, 60))
        rows = pd.DataFrame(
            {
                "d": rng.choice([1, 2, 3, 4, 8, 16, 32, 1e6, 0.5], size),
                "seed": rng.integers(0, rng.choice([2, 10, 99]), size),
                "n": rng.choice([1, 2, 3, 10, 20, 50, 100, 1e5, 1e12, -1, 0, np.nan, 7.5], size),
                "risk": rng.choice(
                    [0, 0.01, 0.05, 0.0999, 0.1, 0.2, 0.9, 1, 50, np.nan, np.inf, -0.1], size
                ),
            }
        )
        rows = rows.assign(
            **{
                name: rng.choice(values, size)
                for name, values in optional.items()
                if rng.random() < 0.3
            }
        )
        fit = fit_exponent(rows, EPS)
        num_with_exponent += np.isfinite(fit.exponent)
        assert str(fit) and np.isfinite(fit.exponent) == (fit.reason == "")
        assert np.isnan(fit.exponent) or -np.inf < fit.lo <= fit.exponent <= fit.hi < np.inf
    assert 0 < num_with_exponent < 38


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: pd.concat([t, t]), "112 rows repeated (the last of equal d, n, seed counts)"),
        (lambda t: pd.concat([t, t.iloc[:3].assign(n=-5)]), "3 rows with n <= 0, left out"),
        (
            lambda t: pd.concat([t, t.iloc[:2].assign(seed=[900, 901], risk=np.nan)]),
            "2 rows without risk, counted as failures",
        ),
        (
            lambda t: pd.concat([t, t.iloc[:2].assign(seed=[900, 901], diverged=True)]),
            "2 diverged trainings count as failures",
        ),
        (
            lambda t: pd.concat(
                [t, t.iloc[:2].assign(seed=[900, 901], risk=1.0, outcome="optimisation_limited")]
            ),
            "2 trainings are optimisation-limited",
        ),
        (
            lambda t: t.assign(
                risk=t["risk"].where(t["d"] < 64, 1.0),
                outcome=np.where(t["d"] < 64, "data_limited", "optimisation_limited"),
            ),
            "16 optimisation-limited trainings left out",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] < 64, 1.0)),
            "d=64: n* is above the largest n",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] > 8, 0.0)),
            "d=8: n* is below the smallest n",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] < 45, 1.0), outcome="plateau"),
            "d=45, 64: never by this method (plateau)",
        ),
        (
            lambda t: t.assign(risk=t["risk"].where(t["d"] != 23, np.nan)),
            "d=23: no success and no sign of a lack of data (diverged)",
        ),
        (
            lambda t: pd.concat(
                [t, t.assign(n=50 * t["n"], seed=t["seed"] + 900, risk=np.tile([1.0, 0.0], 56))]
            ),
            "more than the lapses",
        ),
    ],
)
def test_what_is_odd_about_a_usable_table_is_said(change, sentence):
    """And the exponent survives, since each of these leaves five good d at least."""
    fit = fit_exponent(change(simulate_trainings()), EPS)
    assert any(sentence in warning for warning in fit.warnings), fit.warnings
    assert np.isfinite(fit.exponent)
    if "lapses" not in sentence:
        assert fit.lo < 2 < fit.hi


@pytest.mark.parametrize(
    ("trainings", "eps", "message"),
    [
        (simulate_trainings().drop(columns="d"), EPS, "no column d"),
        (simulate_trainings().drop(columns="risk"), EPS, "no column risk"),
        (simulate_trainings(), 0, "eps=0"),
        (simulate_trainings(), None, "eps=None"),
        ([1, 2], EPS, "trainings=list"),
        (simulate_trainings(), np.inf, "eps=inf"),
        (simulate_trainings(), [EPS, 0.2], "eps=.*must be one positive number"),
        (
            pd.concat([simulate_trainings(), simulate_trainings()[["d"]]], axis=1),
            EPS,
            "more than one column d",
        ),
        (simulate_trainings().assign(seed=[[0]] * 112), EPS, "column seed holds values"),
        (simulate_trainings().assign(risk=1j), EPS, "column risk is of type complex"),
        (
            simulate_trainings().assign(n="many"),
            EPS,
            "n=many in row 0 .and in 111 more rows.: must be a number",
        ),
        (
            simulate_trainings().assign(n=pd.Timestamp("2020-01-01")),
            EPS,
            "column n is of type datetime",
        ),
    ],
)
def test_unusable_arguments_are_refused_in_a_sentence(trainings, eps, message):
    with pytest.raises(UserError, match=message):
        fit_exponent(trainings, eps)
