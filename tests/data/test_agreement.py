from pathlib import Path

import numpy as np
import pytest

from mri_model.data.agreement import (
    EDGES,
    PIXELS,
    Agreement,
    AgreementBin,
    limit_false_links,
    read_agreements,
    write_agreements,
)
from mri_model.errors import MriError

TWO_TUMORS = np.repeat([0, 1], 1000)
"""Half of all pairs agree by chance."""


def curve(shares: dict[float, float], pairs: int = 300, tumor: np.ndarray = TWO_TUMORS) -> Agreement:
    """A curve of pixels with the given share of agreeing pairs from each similarity up; 1 above all of them."""
    share = np.ones(PIXELS.n_bins)
    for start in sorted(shares, reverse=True):
        share[: int(PIXELS.bins(np.float64(start))) + 1] = shares[start]
    counts = np.full(PIXELS.n_bins, pairs)
    return Agreement.of(PIXELS, counts, np.rint(counts * share).astype(int), tumor)


def test_where_all_pairs_agree_the_threshold_is_the_floor() -> None:
    assert curve({}).threshold == PIXELS.floor
    assert curve({}).measured


def test_the_threshold_rises_above_the_last_bin_that_agrees_too_rarely() -> None:
    assert curve({0.93: 0.8}).threshold == 0.94
    assert curve({0.93: 0.96, 0.91: 0.5}).threshold == 0.92


def test_agreement_that_chance_explains_is_not_enough() -> None:
    """With 2 tumor types 0.94 of the pairs is an excess of 0.88; with 40 it is more than 0.9."""
    assert curve({0.93: 0.94}).threshold == 0.94
    assert curve({0.93: 0.94}, tumor=np.repeat(np.arange(40), 50)).threshold == PIXELS.floor


def test_with_few_pairs_the_default_is_used() -> None:
    assert (curve({}, pairs=19).threshold, curve({}, pairs=19).measured) == (PIXELS.default, False)
    assert curve({}, pairs=20).measured


def test_with_one_tumor_type_nothing_can_be_measured() -> None:
    assert not curve({}, tumor=np.zeros(2000, int)).measured


def test_where_the_most_similar_images_disagree_nothing_is_linked() -> None:
    assert curve({0.99: 0.6}).threshold is None


def test_bins_of_few_pairs_are_judged_together() -> None:
    """30 pairs a bin: four bins together. The lowest two are judged with the four above them."""
    assert curve({0.90: 0.8}, pairs=30).threshold == 0.90
    assert curve({0.92: 0.5}, pairs=30).threshold == 0.96


def test_thresholds_rise_until_false_links_are_few_for_the_number_of_groups() -> None:
    agreement = curve({0.93: 0.96})
    assert agreement.threshold == PIXELS.floor
    assert agreement.false_links == pytest.approx(4 * 300 * 0.04, rel=0.02)
    (many,) = limit_false_links([agreement], lambda chosen: 1000)
    (few,) = limit_false_links([agreement], lambda chosen: 100)
    assert (many.threshold, few.threshold) == (PIXELS.floor, 0.94)


def test_a_threshold_that_was_not_measured_is_not_raised() -> None:
    agreement = Agreement("pixels", 0.5, 0.95, False, (AgreementBin(0.95, 10, 5),))
    assert limit_false_links([agreement], lambda chosen: 1) == [agreement]


def test_every_similarity_has_a_bin() -> None:
    for similarity in (PIXELS, EDGES):
        ends = [similarity.lower_end(number) for number in range(similarity.n_bins)]
        assert similarity.bins(np.array(ends)).tolist() == list(range(similarity.n_bins))
        assert similarity.bins(np.array([1.0, 0.99999994])).tolist() == [similarity.n_bins - 1] * 2


def test_curves_are_read_as_they_were_written_and_damage_is_named(tmp_path: Path) -> None:
    written = (curve({0.93: 0.8}), curve({0.99: 0.6}))
    write_agreements(tmp_path, written)
    assert read_agreements(tmp_path) == written
    (tmp_path / "agreement.json").write_text("[{}]")
    with pytest.raises(MriError, match="missing or damaged"):
        read_agreements(tmp_path)
