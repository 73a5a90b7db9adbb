"""The board as a picture shows what the page's board shows: a line per claim, at its places."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis.board_picture import AXIS, VERDICT_COLOURS, draw_board
from analysis.web.claim_views import MARKS
from analysis.web.forest import make_forest_line

CLAIM = {
    "claim": "staged training needs $few$ labels, " + "and so on " * 40,
    "verdict": "reproduced",
    "measured": 1.0,
    "lo": 0.8,
    "hi": 1.2,
    "judged_lo": 0.7,
    "judged_hi": 1.3,
    "at_least": -math.inf,
    "at_most": 2.0,
    "source": "d = 8",
}
UNKNOWN = dict.fromkeys(("measured", "lo", "hi", "judged_lo", "judged_hi"), math.nan)


def board(*changes):
    return pd.DataFrame([{**CLAIM, **change} for change in changes])


@pytest.mark.parametrize("verdict", MARKS)
def test_a_claim_is_drawn_in_the_colour_of_its_verdict_where_the_page_draws_it(verdict):
    claims = board({"verdict": verdict})
    (axes,) = draw_board(claims).axes
    line = make_forest_line(claims.iloc[0])
    left, right = AXIS
    drawn = {tuple(np.round(curve.get_xdata(), 6)): curve for curve in axes.lines}
    for ends in (line.judged, line.plain, (line.estimate,)):
        places = tuple(np.round([left + (right - left) * (end + 1) / 2 for end in ends], 6))
        assert to_hex(drawn[places].get_color()) == VERDICT_COLOURS[verdict]
    texts = [text.get_text() for text in axes.texts]
    assert texts[0] == MARKS[verdict] and {"1 [0.8 – 1.2]", "≤ 2"} <= set(texts)


def test_it_grows_with_the_claims_and_counts_the_verdicts():
    claims = board({}, {"verdict": "undecided"}, {"verdict": "not run", **UNKNOWN}, {})
    figure = draw_board(claims)
    assert figure.texts[0].get_text() == "2 reproduced, 1 undecided, 1 not run"
    assert figure.get_figheight() > draw_board(claims[:1]).get_figheight()
    assert len(figure.axes[0].texts) == 4 * 3 - 1 + 3


def test_everything_fits_on_the_picture():
    """A long sentence, and numbers that take the most room."""
    small = {"measured": 0.000948, "lo": 0.000305, "hi": 0.00305}
    figure = draw_board(board({**small, "judged_lo": 0.0001, "judged_hi": 0.01, "at_most": 0.1}))
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    _, sentence, number, demand = boxes
    left, right = (share * figure.bbox.width for share in AXIS)
    assert sentence.x1 <= left <= demand.x0 and demand.x1 <= right <= number.x0
