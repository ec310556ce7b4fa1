"""The picture of the agreement curves."""

import numpy as np

from mri_model.data.agreement import EDGES, PIXELS, Agreement
from mri_model.quality.curves import BOTTOM, LEFT, RIGHT, TOP, agreement_curve

TWO_TUMORS = np.repeat([0, 1], 50)


def curve(pairs: int, agreeing: int) -> Agreement:
    return Agreement.of(PIXELS, np.full(14, pairs), np.full(14, agreeing), TWO_TUMORS)


def test_the_points_and_the_threshold_lie_in_the_plot() -> None:
    drawn = agreement_curve(curve(100, 99))
    assert len(drawn.points) == 14
    assert all(LEFT < x < RIGHT and TOP <= y <= BOTTOM for x, y in drawn.points)
    assert drawn.threshold and drawn.threshold.text == "threshold 0.90"
    assert LEFT < drawn.threshold.place < drawn.points[-1][0]
    assert [tick.text for tick in drawn.x_ticks] == ["0.90", "0.95", "1.00"]
    assert drawn.chance.text == "by chance 49 %"


def test_the_caption_says_where_the_threshold_comes_from() -> None:
    assert agreement_curve(curve(100, 99)).caption == ("Threshold 0.90: measured on this data set. It links 990 pairs.")
    assert "a default, because" in agreement_curve(curve(1, 1)).caption
    nothing = agreement_curve(curve(100, 50))
    assert nothing.threshold is None and "links no images" in nothing.caption


def test_bins_without_pairs_are_not_drawn() -> None:
    pairs = np.zeros(EDGES.n_bins, int)
    pairs[3] = 10
    assert len(agreement_curve(Agreement.of(EDGES, pairs, pairs, TWO_TUMORS)).points) == 1
