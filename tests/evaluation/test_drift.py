"""Differences beyond chance are found, and chance is not taken for one, whatever the images have in common."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri_model.evaluation import drift
from mri_model.evaluation.drift import Sample, Statistic, compare

STATISTICS = [Statistic("label", 12, False), Statistic("brightness", 20, True)]
SHARES = np.arange(1, 13) / np.arange(1, 13).sum()


def draw(
    generator: np.random.Generator,
    n_sources: int,
    most_images: int = 20,
    shares: np.ndarray = SHARES,
    brighter: float = 0.0,
) -> Sample:
    """Sources of 1 to ``most_images`` images, which nearly share a label and a brightness."""
    sources = np.repeat(np.arange(n_sources), generator.integers(1, most_images + 1, n_sources))
    label = generator.choice(len(shares), n_sources, p=shares)[sources]
    wrong = generator.random(len(sources)) < 0.1
    label[wrong] = generator.choice(len(shares), wrong.sum())
    level = generator.normal(brighter, 1, n_sources)[sources] + generator.normal(0, 0.3, len(sources))
    return Sample(sources, {"label": label, "brightness": np.clip((level * 4 + 10).astype(int), 0, 19)})


def differing(sample: Sample, reference: Sample) -> list[str]:
    return [each.statistic for each in compare(sample, reference, STATISTICS) if each.differs]


@pytest.mark.slow
def test_at_most_one_of_a_hundred_runs_without_drift_is_called_one() -> None:
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(1000):
        reference = draw(generator, int(generator.integers(60, 200)))
        alarms += bool(differing(draw(generator, int(generator.integers(20, 120)), 30), reference))
    assert alarms <= 10


def test_another_mix_and_another_brightness_are_found_and_named() -> None:
    generator = np.random.default_rng(2)
    reference = draw(generator, 150)
    assert differing(draw(generator, 60, shares=SHARES[::-1]), reference) == ["label"]
    assert differing(draw(generator, 60, brighter=1.5), reference) == ["brightness"]
    assert differing(draw(generator, 60, shares=SHARES[::-1], brighter=1.5), reference) == ["label", "brightness"]


def test_a_difference_that_is_certain_but_small_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    shifted = SHARES.copy()
    shifted[[0, 11]] += (0.05, -0.05)
    sample, reference = (draw(generator, 2000, 1, shares) for shares in (shifted, SHARES))
    label, _ = compare(sample, reference, STATISTICS)
    assert label.p_value <= 0.001 and label.distance - label.expected < drift.MIN_EXCESS and not label.differs


def test_images_of_one_source_count_as_one() -> None:
    generator = np.random.default_rng(4)
    reference = draw(generator, 100)
    sample = draw(generator, 25)
    crowd = Sample(
        np.concatenate([sample.sources, np.full(500, sample.sources[0])]),
        {name: np.concatenate([value, np.full(500, value[0])]) for name, value in sample.values.items()},
    )
    pairs = zip(compare(sample, reference, STATISTICS), compare(crowd, reference, STATISTICS), strict=True)
    assert all(abs(one.distance - other.distance) < 1 / 25 for one, other in pairs)


def test_more_sources_than_are_compared_give_the_same_result_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOST_SOURCES", 30)
    generator = np.random.default_rng(5)
    sample, reference = draw(generator, 80), draw(generator, 90)
    assert compare(sample, reference, STATISTICS) == compare(sample, reference, STATISTICS)


def test_distances_lie_between_none_and_all() -> None:
    apart = [Sample(np.arange(40), {"label": np.full(40, at), "brightness": np.full(40, at)}) for at in (0, 11)]
    assert [each.distance for each in compare(*apart, STATISTICS)] == [1.0, 1.0]
    same = compare(apart[0], apart[0], STATISTICS)
    assert [(each.distance, each.p_value, each.differs) for each in same] == [(0.0, 1.0, False)] * 2


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11)), min_size=1), min_size=1, max_size=5))
def test_joined_samples_keep_every_image_and_share_no_source(images: list[list[tuple[int, int]]]) -> None:
    samples = [Sample(*split(each)) for each in images]
    joined = Sample.joined([Sample.from_json(json.loads(json.dumps(each.as_json()))) for each in samples])
    assert joined.n_images == sum(len(each) for each in images)
    assert joined.n_sources == sum(each.n_sources for each in samples)
    assert joined.values["label"].tolist() == [label for each in images for _, label in each]


def split(images: list[tuple[int, int]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    sources, labels = np.array(images).T
    return sources, {"label": labels}
