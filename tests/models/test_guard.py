from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf

from mri_model.models.guard import GUARD_FILE, Guard, read_guard, write_guard
from mri_model.models.network import Resnet18
from mri_model.models.reference import Reference


def features(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, n) * 2  # no image of classes 1 and 3
    return random.normal(size=(n, 5)) + targets[:, None], targets


def test_distances_are_mahalanobis_distances_to_the_nearest_class() -> None:
    known, targets = features(60)
    new = features(7, seed=1)[0]
    means = np.stack([known[targets == each].mean(axis=0) for each in (0, 2, 4)])
    covariance, _ = ledoit_wolf(known - means[targets // 2], assume_centered=True)
    offsets = new[:, None] - means[None]
    expected = np.sqrt(np.einsum("nci,ij,ncj->nc", offsets, np.linalg.inv(covariance), offsets).min(axis=1))
    assert Guard.fit(known, targets).distances(new) == pytest.approx(expected, rel=1e-4)


def test_a_feature_that_never_changed_in_training_gives_it_away_when_it_does() -> None:
    known, targets = features(60)
    known[:, 4] = 0
    guard = Guard.fit(known, targets)
    new = known[:1] + np.array([0, 0, 0, 0, 5.0])
    assert guard.distances(new)[0] > 2 * guard.distances(known).max()


def test_one_image_of_each_class_is_enough() -> None:
    known = np.arange(6.0).reshape(3, 2)
    assert np.isfinite(Guard.fit(known, np.arange(3)).distances(known + 1)).all()


def test_distances_of_an_image_do_not_depend_on_its_batch() -> None:
    known, targets = features(60)
    guard = Guard.fit(known, targets)
    alone = np.concatenate([guard.distances(known[at : at + 1]) for at in range(60)])
    assert guard.distances(known) == pytest.approx(alone, rel=1e-12)


def test_a_guard_comes_back_as_it_was_written_and_a_damaged_one_does_not(tmp_path: Path) -> None:
    guard = Guard.fit(*features(60))
    reference = Reference(**{name: np.arange(place) for place, name in enumerate(Reference.__annotations__)})
    file = write_guard(tmp_path, guard, reference)
    assert file == tmp_path / GUARD_FILE
    for found, written in zip(read_guard(file.read_bytes()), (guard, reference), strict=True):
        for name, value in vars(found).items():
            np.testing.assert_array_equal(value, getattr(written, name))
    with pytest.raises(ValueError, match=r"."):
        read_guard(file.read_bytes()[:100])


def test_logits_are_torchvisions_bit_for_bit_and_features_are_means_of_the_blocks() -> None:
    torch.manual_seed(0)
    network = Resnet18(4).eval()
    images = torch.rand(2, 3, 64, 64)
    maps: list[torch.Tensor] = []
    for name in ("layer2", "layer3"):
        getattr(network.resnet, name).register_forward_hook(lambda _block, _inputs, output: maps.append(output))
    with torch.inference_mode():
        logits, found = network.outputs(images)
        assert torch.equal(logits, network.resnet(images)) and torch.equal(logits, network(images))
        assert found.shape == (2, 384)
        assert torch.equal(found, torch.cat([each.mean((2, 3)) for each in maps[:2]], dim=1))
