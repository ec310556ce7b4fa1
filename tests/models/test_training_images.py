"""The model folder says which images the model has seen."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from mri_model.data.fingerprints import read_fingerprints
from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.errors import RefusedError
from mri_model.models.training_images import (
    TRAINING_IMAGES_FILE,
    TrainingImages,
    read_training_images,
    write_training_images,
)


@pytest.fixture(scope="module")
def manifest(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_manifest(take_inventory(phantom), tmp_path_factory.mktemp("manifests"))


def test_training_and_validation_images_come_back_as_they_were_written(manifest: Manifest, tmp_path: Path) -> None:
    images = TrainingImages.of(manifest.partition("grouped"))
    write_training_images(tmp_path, "m", images)
    found = read_training_images(tmp_path, "m")
    for name in ("sha256", "labels", "is_train", "mean", "thresholds"):
        np.testing.assert_array_equal(getattr(found, name), getattr(images, name))
    rows = manifest.frame[manifest.frame["split_grouped"].isin(["train", "val"])]
    assert found.sha256.tolist() == rows["sha256"].tolist()
    assert [manifest.classes[label] for label in found.labels] == rows["label"].tolist()
    assert found.is_train.tolist() == (rows["split_grouped"] == "train").tolist()
    stored = read_fingerprints(manifest.folder, len(manifest.frame))[rows.index.to_numpy()]
    for name, array in vars(stored).items():
        np.testing.assert_array_equal(getattr(found.fingerprints, name), array)


def test_the_file_holds_no_file_names_and_is_the_same_again(manifest: Manifest, tmp_path: Path) -> None:
    images = TrainingImages.of(manifest.partition("random"))
    write_training_images(tmp_path, "m", images)
    first = (tmp_path / TRAINING_IMAGES_FILE).read_bytes()
    with zipfile.ZipFile(tmp_path / TRAINING_IMAGES_FILE) as stored:
        everything = b"".join(stored.read(name) for name in stored.namelist())
    names = {Path(path).stem for path in manifest.frame["path"]}
    assert not any(name.encode(encoding) in everything for name in names for encoding in ("utf-8", "utf-32-le"))
    write_training_images(tmp_path, "m", images)
    assert (tmp_path / TRAINING_IMAGES_FILE).read_bytes() == first


def damage(file: Path, how: str) -> None:
    content = file.read_bytes()
    arrays = dict(np.load(file))
    if how == "missing":
        file.unlink()
    elif how == "cut short":
        file.write_bytes(content[: len(content) // 2])
    elif how == "overwritten":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + b"\0" * 64 + content[middle + 64 :])
    elif how == "one array less":
        np.savez(file, **{name: array for name, array in arrays.items() if name != "mean"})
    elif how == "one row less":
        np.savez(file, **{**arrays, "labels": arrays["labels"][1:]})
    elif how == "pickled":
        np.savez(file, **{**arrays, "sha256": arrays["sha256"].astype(object)})
    elif how == "no archive":
        file.write_text("nothing")


@pytest.mark.parametrize(
    "how", ["missing", "cut short", "overwritten", "one array less", "one row less", "pickled", "no archive"]
)
def test_an_unusable_file_is_refused_with_what_to_do(manifest: Manifest, tmp_path: Path, how: str) -> None:
    write_training_images(tmp_path, "m", TrainingImages.of(manifest.partition("random")))
    damage(tmp_path / TRAINING_IMAGES_FILE, how)
    with pytest.raises(RefusedError, match=r"is missing|is damaged") as caught:
        read_training_images(tmp_path, "m")
    assert caught.value.hint == "restore it, or train the model again; scoring works without it"


def test_the_file_of_another_model_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    write_training_images(tmp_path, "m", TrainingImages.of(manifest.partition("random")))
    with pytest.raises(RefusedError, match="belongs to model m:"):
        read_training_images(tmp_path, "other")
