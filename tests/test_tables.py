"""Anyone's table is read as it was meant, or refused in a sentence: never with another result.

A battery of kinds: what a column may hold × the columns that are read. A table changed in one of
these ways gives the arrays of the clean table, from which every number follows, or a sentence with
the value, the row and the column.
"""

import io
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from example_table import CLEAN, EPS, NUMBERS, assert_refused, assert_same, read, with_value

from bfc.errors import UserError
from bfc.stats.training_table import build_training_table

UNREADABLE_NUMBERS = [
    "1,024",
    "0,05",
    "5%",
    "1 024",
    "1_024",
    "1'024",
    "1.024.000",
    "0x40",
    "64 samples",
    "many",
    "-",
    "--5",
    "1e",
    "½",
    "٣٢",
    "١",
    True,
    [64],
    1j,
    pd.Timestamp("2020-01-01"),
    pd.Interval(1, 2),
    b"64",
]


@pytest.mark.parametrize("column", NUMBERS)
@pytest.mark.parametrize("value", UNREADABLE_NUMBERS, ids=str)
def test_a_value_that_is_no_number_is_refused(column, value):
    text = value.decode() if isinstance(value, bytes) else str(value)
    assert_refused(with_value(column, value), f"{column}=", text, " in row 5", "must be a number")


@pytest.mark.parametrize("column", NUMBERS)
def test_all_unreadable_values_of_a_column_are_counted(column):
    table = CLEAN.assign(**{column: [f"{value:,.4f}".replace(".", ";") for value in CLEAN[column]]})
    assert_refused(table[CLEAN["d"].to_numpy() > 0], f"{column}=", "in row 0 (and in ", "more rows")


def as_decimals(values):
    return [Decimal(repr(value)) for value in values.tolist()]


SAME_NUMBERS = {
    "texts": lambda values: values.astype(str),
    "texts with spaces": lambda values: [f"  {value!r}\t" for value in values.tolist()],
    "exponents": lambda values: [f"{value:.17e}" for value in values],
    "capital exponents": lambda values: [f"+{value:.17E}" for value in values],
    "decimals": as_decimals,
    "fractions": lambda values: [Fraction(value) for value in values.tolist()],
    "objects": lambda values: values.astype(object),
    "categories": lambda values: values.astype("category"),
    "categories of texts": lambda values: values.astype(str).astype("category"),
    "nullable": lambda values: values.convert_dtypes(),
    "nullable texts": lambda values: values.astype("string"),
    "64 bits": lambda values: values.astype(float),
    "arrow": lambda values: values.astype("float64[pyarrow]"),
    "sparse": lambda values: values.astype(pd.SparseDtype(float)),
    "texts among numbers": lambda values: [
        str(value) if i % 2 else value for i, value in enumerate(values.tolist())
    ],
    "numpy scalars": lambda values: pd.Series(list(values.to_numpy()), dtype=object),
}


@pytest.mark.parametrize("column", [*NUMBERS, "seed"])
@pytest.mark.parametrize("kind", SAME_NUMBERS)
def test_a_number_of_any_type_is_the_number(column, kind):
    if kind.endswith("exponents") and column == "seed":
        pytest.skip("a seed with an exponent is a word")
    assert_same(CLEAN.assign(**{column: SAME_NUMBERS[kind](CLEAN[column])}))


MISSING = [None, np.nan, pd.NA, pd.NaT, "", "  ", "nan", "NaN", "None", "<NA>", "N/A", "null"]


@pytest.mark.parametrize("column", CLEAN.columns)
@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_every_way_to_write_nothing_means_the_same(column, value):
    """As an empty cell of a CSV file, which is NaN."""
    table, empty = with_value(column, value), with_value(column, np.nan)
    (arrays, warnings), (expected, expected_warnings) = read(table), read(empty)
    assert warnings == expected_warnings
    for name in ("d", "n", "seed", "risk", "outcome"):
        np.testing.assert_array_equal(getattr(arrays, name), getattr(expected, name))


def test_an_integer_beyond_floats_is_refused():
    assert_refused(with_value("n", 10**400), "n=1000000", "in row 5")


@pytest.mark.parametrize("column", ["d", "n", "risk"])
def test_a_column_of_truth_values_holds_no_numbers(column):
    assert_refused(
        CLEAN.assign(**{column: CLEAN[column] > 0.1}), f"column {column} is of type bool"
    )


@pytest.mark.parametrize("column", ["d", "n"])
@pytest.mark.parametrize("as_text", [True, False])
def test_points_between_thousands_are_refused(column, as_text):
    """A German table: 1.024 for 1024, as a text or as the number that pandas made of it."""
    large = CLEAN.assign(d=CLEAN["d"] * 64)
    texts = [f"{value:,}".replace(",", ".") for value in large[column]]
    table = large.assign(**{column: texts if as_text else [float(text) for text in texts]})
    with pytest.raises(UserError, match=rf"{column}=1\.\d+ in row \d+.* without a point"):
        build_training_table(table, EPS)


def test_sizes_that_are_no_whole_numbers_are_said():
    grid = np.geomspace(8, 24, 4)
    table = CLEAN.assign(d=grid[CLEAN["d"].map({8: 0, 12: 1, 16: 2, 24: 3})])
    assert any("d is no whole number in 84 rows" in text for text in read(table)[1])


SAID_WORDS = [
    ("outcome", "plateau", "Plateau"),
    ("outcome", "plateau", " PLATEAU "),
    ("outcome", "data_limited", "data limited"),
    ("outcome", "data_limited", "Data-Limited"),
    ("outcome", "success", "succeeded"),
    ("kind", "training", "Training"),
    ("kind", "training", "train"),
    ("diverged", True, "yes"),
    ("diverged", True, "Y"),
    ("diverged", True, "t"),
    ("diverged", False, "no"),
    ("diverged", False, "OFF"),
    ("fresh", False, "No"),
]


@pytest.mark.parametrize(("column", "ours", "written"), SAID_WORDS)
def test_a_word_that_clearly_means_one_of_ours_is_read_and_said(column, ours, written):
    values = CLEAN[column].astype(object).where(CLEAN[column] != ours, written)
    silent = [] if written.strip() == ours else [f"{column}={written.strip()} is read as"]
    assert_same(CLEAN.assign(**{column: values}), *silent)


@pytest.mark.parametrize(
    "values",
    [
        lambda flags: flags.astype(int),
        lambda flags: flags.astype(float),
        lambda flags: flags.astype(str),
        lambda flags: flags.astype(str).str.upper(),
        lambda flags: flags.astype("boolean"),
        lambda flags: flags.astype("boolean").where(flags),
        lambda flags: flags.astype(object).where(flags, None),
        lambda flags: flags.astype("category"),
        lambda flags: flags.map({True: Decimal(1), False: Decimal(0)}),
    ],
)
def test_flags_of_any_type_are_the_flags(values):
    assert_same(CLEAN.assign(diverged=values(CLEAN["diverged"])))


@pytest.mark.parametrize("word", ["optimization_limited", "Optimization limited"])
def test_american_spelling_is_ours(word):
    ours, theirs = (
        CLEAN.assign(risk=1.0, train_risk=np.nan, diverged=False, outcome=outcome)
        for outcome in ("optimisation_limited", word)
    )
    assert read(ours)[0].excluded.all() and read(theirs)[0].excluded.all()
    assert any(f"outcome={word} is read as optimisation_limited" in t for t in read(theirs)[1])


@pytest.mark.parametrize(
    "changes", [{"diverged": "Y"}, {"diverged": 1.0}, {"outcome": "Diverged"}], ids=str
)
def test_a_training_that_is_marked_as_diverged_never_succeeds(changes):
    arrays, warnings = read(CLEAN.assign(**{"diverged": False, **changes, "risk": 0.001}))
    assert not arrays.success.any()
    assert f"{len(CLEAN)} diverged trainings count as failures" in warnings


UNKNOWN_WORDS = [
    ("outcome", "plato", "did you mean plateau?"),
    ("outcome", "good", "must be one of success"),
    ("outcome", 0, "must be one of success"),
    ("outcome", True, "must be one of success"),
    ("kind", "validation", "must be one of training, confirmation"),
    ("kind", "confirmaton", "did you mean confirmation?"),
    ("kind", 1, "must be one of training"),
    ("diverged", "maybe", "must be true or false"),
    ("diverged", 2, "must be true or false"),
    ("diverged", 0.5, "must be true or false"),
    ("diverged", "diverged", "must be true or false"),
    ("fresh", "5%", "must be true or false"),
    ("fresh", [True], "must be true or false"),
]


@pytest.mark.parametrize(("column", "value", "allowed"), UNKNOWN_WORDS)
def test_a_word_that_is_none_of_ours_is_refused(column, value, allowed):
    assert_refused(with_value(column, value), f"{column}={value} in row 5", allowed)


@pytest.mark.parametrize("value", ["1,024", "5%", "0,5", "1 000", "three", [1]], ids=str)
def test_a_word_among_numbers_is_no_seed(value):
    assert_refused(with_value("seed", value), "seed", "must" if value != [1] else "cannot")


def test_seeds_may_be_words_of_any_kind():
    for words in (
        [f"run {seed}" for seed in CLEAN["seed"]],
        [f"1e40{seed}" for seed in CLEAN["seed"]],
        [f"2026-01-0{seed + 1}" for seed in CLEAN["seed"]],
        pd.to_datetime("2026-01-01") + pd.to_timedelta(CLEAN["seed"], unit="D"),
        list(zip(CLEAN["seed"], CLEAN["seed"], strict=True)),
    ):
        assert_same(CLEAN.assign(seed=words))


def indexed_by(*columns):
    return lambda table: table.set_index(list(columns))


SHAPES = {
    "index of columns": (indexed_by("d", "n", "seed"), ()),
    "index of one column": (indexed_by("d"), ()),
    "capitals in the index": (
        lambda t: t.rename(columns={"d": "D"}).set_index("D"),
        ("column 'D' is read as d",),
    ),
    "index not reset": (lambda t: pd.concat([t.iloc[:80], t.iloc[80:].reset_index(drop=True)]), ()),
    "index of texts": (lambda t: t.set_index(pd.Index([f"r{i}" for i in range(len(t))])), ()),
    "index kept as a column": (lambda t: t.set_index("d", drop=False), ()),
    "spaces": (lambda t: t.rename(columns={"d": " d", "risk": "risk "}), ("' d' is read as d", "")),
    "capitals": (lambda t: t.rename(columns={"n": "N"}), ("column 'N' is read as n",)),
    "capital flag": (lambda t: t.rename(columns={"diverged": "Diverged"}), ("read as diverged",)),
    "levels": (lambda t: pd.concat({"all": t}, axis=1), ()),
    "empty levels": (
        lambda t: t.set_axis(pd.MultiIndex.from_tuples([(c, "") for c in t]), axis=1),
        (),
    ),
    "other columns": (lambda t: t.assign(**{"0": 1, "note": "x"}).rename(columns={"0": 0}), ()),
    "order of columns": (lambda t: t[t.columns[::-1]], ()),
    "CSV": (lambda t: pd.read_csv(io.StringIO(t.to_csv(index=False))), ()),
    "CSV of texts": (lambda t: pd.read_csv(io.StringIO(t.to_csv(index=False)), dtype=str), ()),
    "CSV with thousands": (
        lambda t: pd.read_csv(
            io.StringIO(t.assign(n=[f"{n:,}" for n in t["n"]]).to_csv(index=False)), thousands=","
        ),
        (),
    ),
    "JSON": (lambda t: pd.read_json(io.StringIO(t.to_json()), precise_float=True), ()),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_table_in_another_shape_is_the_same_table(name):
    change, said = SHAPES[name]
    assert_same(change(CLEAN), *said)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.rename(columns={"risk": "loss"}), "has no column risk"),
        (lambda t: pd.concat([t, t[["n"]]], axis=1), "more than one column n"),
        (lambda t: pd.concat([t, t["n"].rename("N")], axis=1).drop(columns="n").assign(), None),
        (
            lambda t: t.rename(columns={"n": "N"}).assign(**{" n": t["n"]}),
            "more than one column n",
        ),
        (
            lambda t: pd.concat({"a": t, "b": t}, axis=1),
            "columns of 2 levels such as (b, diverged)",
        ),
    ],
)
def test_columns_that_cannot_be_told_are_refused(change, sentence):
    table = change(CLEAN)
    if sentence is None:
        assert_same(table, "column 'N' is read as n")
        return
    with pytest.raises(UserError, match=re.escape(sentence)):
        build_training_table(table, EPS)


def test_a_column_that_is_nearly_an_optional_one_is_said():
    assert any(
        "column divergd is not read; did you mean diverged?" in warning
        for warning in read(CLEAN.rename(columns={"diverged": "divergd"}))[1]
    )
