"""How classes are named, from the folders to the model: levels, patients, other names, profiles of a folder."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mri_model import api
from mri_model.data.profile import profile_toml
from mri_model.errors import MriError, RefusedError, UsageError
from mri_model.quality.report import read_quality_report
from mri_model.settings import Settings
from tests.conftest import QUICK
from tests.golden.pictures import encode, grey

DICOM = bytes(128) + b"DICM"


def blobs(number: int) -> bytes:
    """A PNG whose picture no other number has."""
    coarse = np.random.default_rng(number).integers(0, 256, (12, 12))
    return encode(np.kron(coarse, np.ones((4, 4))).astype(np.uint8), "PNG")


def draw(root: Path, folder: str, n: int, first: int = 0, name: str = "{}.png") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(first, first + n):
        (root / folder / name.format(number)).write_bytes(blobs(number))


def write(root: Path, path: str, data: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)


def two_classes(root: Path) -> None:
    draw(root, "glioma", 5)
    draw(root, "cyst", 5, 20)


def patients(root: Path) -> None:
    for index in range(4):
        draw(root, f"glioma/p{index}", 4, 4 * index)
        draw(root, f"cyst/p{index}", 4, 20 + 4 * index)


def test_patients_below_the_class_level_stay_in_one_split(settings: Settings, tmp_path: Path) -> None:
    patients(tmp_path / "data")
    with pytest.raises(RefusedError, match="not side by side"):
        api.ingest(settings, tmp_path / "data")
    frame = api.ingest(settings, tmp_path / "data", class_level=1).frame
    assert set(frame["label"]) == {"glioma", "cyst"}
    assert set(frame["patient"]) == {"p0", "p1", "p2", "p3"}
    together = frame.groupby(["tumor", "patient"])
    assert (together["group"].nunique() == 1).all()
    assert (together["split_grouped"].nunique() == 1).all()
    assert set(frame["split_grouped"]) == {"train", "val", "test"}


def test_a_class_folder_named_as_a_split_is_a_class_if_a_person_says_so(settings: Settings, tmp_path: Path) -> None:
    for index, arm in enumerate(("control", "placebo", "test")):
        draw(tmp_path / "arms", arm, 4, 10 * index)
    assert api.ingest(settings, tmp_path / "arms").classes == ("control", "placebo")
    assert api.ingest(settings, tmp_path / "arms", class_level=1).classes == ("control", "placebo", "test")
    named = replace(api.learn_profile(settings, tmp_path / "arms"), classes={"control": 1, "placebo": 1, "test": 4})
    file = tmp_path / "arms.toml"
    file.write_text(profile_toml(replace(named, ignored=())), encoding="utf-8")
    assert api.ingest(settings, tmp_path / "arms", str(file)).classes == ("control", "placebo", "test")


@pytest.mark.slow
def test_a_model_is_evaluated_on_an_external_set_once_its_classes_have_the_same_names(
    settings: Settings, tmp_path: Path
) -> None:
    two_classes(tmp_path / "own")
    draw(tmp_path / "external", "glioma_tumor", 5, 40)
    draw(tmp_path / "external", "cyst", 5, 60)
    api.ingest(settings, tmp_path / "own")
    (model,) = api.train(settings, replace(QUICK, epochs=1)).models
    other = api.ingest(settings, tmp_path / "external")
    with pytest.raises(RefusedError, match="the model does not know glioma_tumor") as caught:
        api.evaluate(settings, model.id, manifest_name=other.digest)
    assert "--map" in caught.value.hint
    mapped = api.ingest(settings, tmp_path / "external", class_map={"glioma_tumor": "glioma"})
    assert api.evaluate(settings, model.id, manifest_name=mapped.digest).overall.n == 2
    profile = (mapped.folder / "profile.toml").read_text(encoding="utf-8")
    assert '[class_map]\nglioma_tumor = "glioma"' in profile


def test_a_typing_error_in_a_class_map_is_wrong_usage(settings: Settings, tmp_path: Path) -> None:
    two_classes(tmp_path / "own")
    with pytest.raises(UsageError, match="no class 'gliom' to rename"):
        api.ingest(settings, tmp_path / "own", class_map={"gliom": "Glioma"})


def with_strays(root: Path) -> None:
    two_classes(root)
    draw(root, ".", 3, 50, "stray {}.png")
    draw(root, "train", 1, 55)


def with_unknown_extensions(root: Path) -> None:
    two_classes(root)
    draw(root, "glioma", 2, 50, "{}")
    draw(root, "glioma", 2, 55, "{}.foo")
    write(root, "cyst/no image.foo", b"text")


def with_a_rejected_format(root: Path) -> None:
    two_classes(root)
    write(root, "cyst/cut.webp", encode(grey(50), "WEBP")[:-20])


def with_a_class_of_dicom(root: Path) -> None:
    two_classes(root)
    write(root, "pituitary/1.dcm", DICOM)
    (root / "to come").mkdir()


def with_odd_names(root: Path) -> None:
    two_classes(root)
    draw(root, "cyst", 1, 50, os.fsdecode(b"\xe9.png"))
    draw(root, "#recycle/glioma", 1, 50)
    draw(root, "glioma", 1, 51, ".hidden.png")
    draw(root, 'a "quoted"\nname', 3, 52)


TREES: list[tuple[Callable[[Path], None], int, dict[str, str]]] = [
    (two_classes, 0, {}),
    (with_strays, 0, {}),
    (with_unknown_extensions, 0, {}),
    (with_a_rejected_format, 0, {}),
    (with_a_class_of_dicom, 0, {}),
    (with_odd_names, 0, {}),
    (patients, 1, {}),
    (patients, -1, {"p0": "left"}),
    (two_classes, 0, {"glioma": "Glioma T1"}),
]


@pytest.mark.parametrize(("tree", "level", "renamed"), TREES)
def test_the_profile_of_a_folder_accepts_that_folder_as_it_was_read(
    settings: Settings, tmp_path: Path, tree: Callable[[Path], None], level: int, renamed: dict[str, str]
) -> None:
    data, file = tmp_path / "data", tmp_path / "data.toml"
    tree(data)
    learnt = api.learn_profile(settings, data, level, renamed)
    file.write_text(profile_toml(learnt), encoding="utf-8")
    by_profile = api.ingest(settings, data, str(file)).frame
    by_itself = api.ingest(settings, data, "auto", 0, "quarantine", level, renamed).frame
    columns = ["path", "status", "label", "patient", "split_grouped"]
    pd.testing.assert_frame_equal(by_profile[columns], by_itself[columns])


def test_a_later_delivery_with_more_strays_breaks_the_profile(settings: Settings, tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "data.toml"
    with_strays(data)
    file.write_text(profile_toml(api.learn_profile(settings, data)), encoding="utf-8")
    draw(data, ".", 1, 60, "another.png")
    with pytest.raises(RefusedError, match=r"lies in a class folder of the profile \(broken by: another.png\)"):
        api.ingest(settings, data, str(file))


def test_a_class_without_an_image_is_refused_with_the_reason(settings: Settings, tmp_path: Path) -> None:
    with_a_class_of_dicom(tmp_path / "data")
    with pytest.raises(RefusedError, match=r"pituitary: a DICOM file without pixels.*\(rejected files: 1\)") as caught:
        api.ingest(settings, tmp_path / "data")
    assert "to come" in str(caught.value)


@pytest.mark.parametrize("extension", ["jpe", "jfif", "JFIF"])
def test_every_extension_of_jpeg_is_known(settings: Settings, tmp_path: Path, extension: str) -> None:
    two_classes(tmp_path / "data")
    write(tmp_path / "data", f"cyst/scan.{extension}", encode(grey(50), "JPEG"))
    assert set(api.ingest(settings, tmp_path / "data").frame["status"]) == {"ok"}


def came_split(root: Path) -> None:
    for split, first in (("Training", 0), ("Testing", 12)):
        draw(root, f"{split}/glioma", 8 if first == 0 else 4, first)
        draw(root, f"{split}/cyst", 8 if first == 0 else 4, 40 + first)
    draw(root, "Testing/cyst", 1, 40, "copy {}.png")  # of a training image


def test_the_split_that_the_data_came_with_is_a_protocol_with_its_leak_measured(
    settings: Settings, tmp_path: Path
) -> None:
    came_split(tmp_path / "data")
    manifest = api.ingest(settings, tmp_path / "data")
    test = manifest.partition("given").rows("test")
    assert set(test["path"].str.partition("/")[0]) == {"Testing"}
    assert set(manifest.partition("given").rows("train")["path"].str.partition("/")[0]) == {"Training"}
    assert len(manifest.partition("given").rows("val"))
    (claim,) = [each.claim for each in read_quality_report(manifest.folder).issues if "came in folders" in each.claim]
    assert "of 9) have a near duplicate" in claim
    (model,) = api.train(settings, replace(QUICK, epochs=1, protocol="given")).models
    evaluation = api.evaluate(settings, model.id)
    assert evaluation.overall.n == 9
    assert evaluation.overall.duplicate_free_n < 9


def test_data_that_came_in_no_split_has_no_given_protocol(settings: Settings, tmp_path: Path) -> None:
    two_classes(tmp_path / "data")
    manifest = api.ingest(settings, tmp_path / "data")
    assert manifest.frame["split_given"].isna().all()
    with pytest.raises(MriError, match="did not come in folders for training and test"):
        manifest.partition("given")
    for index, arm in enumerate(("train", "test", "control")):
        draw(tmp_path / "arms", arm, 4, 10 * index)
    assert api.ingest(settings, tmp_path / "arms", class_level=1).frame["split_given"].isna().all()
