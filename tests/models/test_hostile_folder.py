"""A model folder that somebody has changed on purpose, with matching digests, is refused in one line, or harmless."""

import json
import math
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from mri_model.data.hog import HOG_LENGTH
from mri_model.data.medical.choice import AXIAL_SLICES, SliceChoice
from mri_model.errors import MriError
from mri_model.models.artifact import checked_content, load_model, sha256, write_weights
from mri_model.models.guard import GUARD_FILE, Guard, write_guard
from mri_model.models.metadata import (
    GuardMetadata,
    read_history,
    read_metadata,
    write_history,
    write_metadata,
)
from mri_model.models.network import FEATURES, Resnet18
from mri_model.models.reference import Reference
from mri_model.models.training_images import TRAINING_IMAGES_FILE, read_training_images
from mri_model.scoring.decision import AnswerRule
from tests.models.test_choice import EPOCH, MODEL

CPU = torch.device("cpu")
HUGE = 10**30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder of two classes, without its weights."""
    folder = tmp_path / "m"
    folder.mkdir()
    centers, whitening = np.zeros((2, FEATURES)), np.eye(FEATURES)
    file = write_guard(folder, Guard(centers, whitening), reference(3))
    guard = GuardMetadata(sha256(file), 5.0, 0.02, 0.9, 0.1, 3)
    write_metadata(folder, replace(MODEL, guard=guard))
    write_history(folder, [EPOCH])
    return folder


@pytest.fixture
def whole(folder: Path) -> Path:
    """The folder with its weights."""
    change(folder, "sha256", write_weights(folder, Resnet18(2).state_dict()))
    return folder


def reference(n: int) -> Reference:
    single = np.zeros(n, np.float32)
    counts = np.zeros(n, np.int64)
    return Reference(
        target=counts,
        answer=counts,
        probability=single,
        distance=np.zeros(n),
        brightness=single,
        variation=single,
        source=counts,
        mean=np.zeros(HOG_LENGTH, np.int64),
        threshold=np.array([0.8]),
    )


def change(folder: Path, place: str, value: Any) -> None:
    """Change a field of ``model.json``; NaN is written as Python writes it."""
    file = folder / "model.json"
    stored = json.loads(file.read_text())
    *above, name = place.split(".")
    fields = stored
    for each in above:
        fields = fields[each]
    fields[name] = value
    file.write_text(json.dumps(stored))


def refused(folder: Path) -> str:
    with pytest.raises(MriError) as caught:
        load_model(folder, CPU)
    assert "\n" not in str(caught.value) and caught.value.hint
    return str(caught.value)


def test_a_whole_folder_is_read_as_it_was_written(whole: Path) -> None:
    model = load_model(whole, CPU)
    assert model.guard and model.classes == ("A", "B") and model.metadata.recipe == MODEL.recipe
    assert read_history(whole) == [EPOCH]


@pytest.mark.parametrize("value", [math.nan, math.inf, 0, -1, "x", None, [1], 10**400])
def test_a_temperature_that_is_no_positive_number_is_refused(folder: Path, value: Any) -> None:
    change(folder, "temperature", value)
    assert "model.json is damaged" in refused(folder)


@pytest.mark.parametrize("value", [[], ["A"], "AB", {"A": 1, "B": 2}, [1, 2], [None, "B"], ["A", "A"], None])
def test_classes_are_two_or_more_different_texts(folder: Path, value: Any) -> None:
    change(folder, "classes", value)
    assert "model.json is damaged: classes" in refused(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("axis", value) for value in ("oblique", "", None, 3, ["axial"])),
        *(("central", value) for value in (0, -0.5, 1.5, math.nan, "x", None)),
        *(("most", value) for value in (0, -1, 2.5, True, HUGE, None, "x")),
        ("unknown", 1),
    ],
)
def test_a_choice_of_slices_that_cannot_be_is_refused(folder: Path, field: str, value: Any) -> None:
    change(folder, f"slices.{field}", value)
    assert "model.json is damaged" in refused(folder)


def test_a_model_without_a_choice_of_slices_takes_the_axial_ones(folder: Path) -> None:
    file = folder / "model.json"
    stored = json.loads(file.read_text())
    assert stored.pop("slices") == {"axis": "axial", "central": 0.6, "most": 20}
    file.write_text(json.dumps(stored))
    assert read_metadata(folder).slices == AXIAL_SLICES
    change(folder, "slices", {"axis": "coronal", "central": 1, "most": 5})
    assert read_metadata(folder).slices == SliceChoice("coronal", 1.0, 5)
    change(folder, "slices", "axial")
    assert "slices: it is not an object with fields" in refused(folder)


@pytest.mark.parametrize("field", ["id", "manifest"])
@pytest.mark.parametrize("value", ["../../x", "/etc/passwd", "..", "", "a\nb", "a/b", "x" * 5000, "\0", "<b>"])
def test_a_name_that_could_leave_its_folder_is_refused(folder: Path, field: str, value: str) -> None:
    change(folder, field, value)
    assert f"{field}: it is not a plain name of a folder" in refused(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("preprocessing.size", HUGE),
        ("preprocessing.size", 32.5),
        ("preprocessing.store_scale", math.nan),
        ("preprocessing.store_scale", 1e9),
        ("preprocessing.mean", [0, 0]),
        ("preprocessing.mean", [1e39, 0, 0]),
        ("preprocessing.std", [0, 0, 0]),
        ("preprocessing.std", [math.nan, 1, 1]),
        ("preprocessing.crop_to_head", "perhaps"),
        ("epochs", HUGE),
        ("metrics.epoch", HUGE),
        ("metrics.val_f1", math.inf),
        ("recipe.image_size", HUGE),
        ("recipe.fold", True),
        ("recipe", {"fold": 0, "folds": 0}),
        ("guard.n_validation", math.inf),
        ("guard.distance", math.nan),
        ("guard", []),
        ("created_at", "2020-01-01"),
        ("device", [1]),
        ("unknown", 1),
        ("id", "\ud800"),
    ],
)
def test_a_field_of_a_wrong_kind_is_refused_before_it_is_used(folder: Path, place: str, value: Any) -> None:
    change(folder, place, value)
    assert "model.json is damaged" in refused(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "", "{}", "null"])
def test_json_that_is_made_to_break_its_reader_is_refused(folder: Path, content: str) -> None:
    (folder / "model.json").write_text(content)
    refused(folder)


class Evil:
    """Leaves a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("name", ["model.safetensors", GUARD_FILE])
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_with_a_matching_digest_is_never_unpickled(whole: Path, tmp_path: Path, name: str, how: str) -> None:
    file, trace = whole / name, tmp_path / "trace"
    if how == "pickle":
        file.write_bytes(pickle.dumps(Evil(trace)))
    else:
        torch.save({"weight": Evil(trace)}, file)
    change(whole, "sha256" if name == "model.safetensors" else "guard.sha256", sha256(file))
    assert name in refused(whole)
    assert not trace.exists()


Arrays = dict[str, np.ndarray]
TAMPERED: dict[str, Callable[[Arrays], Arrays]] = {
    "NaN": lambda a: {"centers": a["centers"] * np.nan},
    "fewer features": lambda a: {"centers": a["centers"][:, 1:].copy(), "whitening": np.eye(FEATURES - 1)},
    "no center": lambda a: {"centers": a["centers"][:0]},
    "more centers than classes": lambda a: {"centers": np.zeros((3, FEATURES))},
    "a number": lambda a: {"whitening": np.array(1.0)},
    "another type": lambda a: {"target": a["target"].astype(np.float32)},
    "a class that is not there": lambda a: {"answer": a["answer"] + 2},
    "lengths that differ": lambda a: {"source": a["source"][1:].copy()},
    "no validation image": lambda a: {
        name: a[name][:0] for name in a.keys() - {"centers", "whitening", "mean", "threshold"}
    },
    "a short mean": lambda a: {"mean": a["mean"][1:].copy()},
    "an unknown array": lambda a: {"other": a["mean"]},
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_guard_whose_arrays_do_not_fit_is_refused_although_its_digest_matches(whole: Path, how: str) -> None:
    file = whole / GUARD_FILE
    arrays = load(file.read_bytes())
    file.write_bytes(save({**arrays, **TAMPERED[how](arrays)}))
    change(whole, "guard.sha256", sha256(file))
    assert f"{GUARD_FILE} is damaged" in refused(whole)


def test_what_is_loaded_is_what_was_checked_even_if_the_file_is_cut_at_that_moment(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(file: Path, digest: str) -> bytes:
        content = checked_content(file, digest)
        os.truncate(file, 0)
        return content

    monkeypatch.setattr("mri_model.models.artifact.checked_content", cut)
    assert load_model(whole, CPU).guard


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", GUARD_FILE])
@pytest.mark.parametrize("how", ["pipe", "folder", "link to itself"])
def test_a_file_that_is_no_file_is_refused_without_waiting(whole: Path, name: str, how: str) -> None:
    replace_by(whole / name, how)
    refused(whole)


@pytest.mark.parametrize("how", ["pipe", "folder", "link to itself"])
def test_the_other_files_of_the_folder_are_refused_too_where_they_are_read(folder: Path, how: str) -> None:
    replace_by(folder / "history.csv", how)
    with pytest.raises(MriError, match="is missing or damaged"):
        read_history(folder)
    (folder / TRAINING_IMAGES_FILE).touch()
    replace_by(folder / TRAINING_IMAGES_FILE, how)
    with pytest.raises(MriError, match="is missing"):
        read_training_images(folder, "m")


def replace_by(file: Path, how: str) -> None:
    file.unlink()
    if how == "pipe":
        os.mkfifo(file)
    elif how == "folder":
        file.mkdir()
    else:
        file.symlink_to(file.name)


def test_a_history_that_is_no_table_of_numbers_is_refused(folder: Path) -> None:
    whole = (folder / "history.csv").read_text()
    for content in ("", "\0", whole.replace("0.5", "nan"), whole + "x" * 200_000, whole.replace("1,", f"{HUGE},")):
        (folder / "history.csv").write_text(content)
        with pytest.raises(MriError, match=r"history\.csv is missing or damaged"):
            read_history(folder)


def test_a_diverged_loss_in_the_history_reads_back(folder: Path) -> None:
    diverged = replace(EPOCH, train_loss=math.nan)
    write_history(folder, [diverged])
    assert math.isnan(read_history(folder)[0].train_loss)


def test_an_answer_that_is_not_a_number_is_none() -> None:
    """Weights may hold NaN, and their digest may match."""
    assert AnswerRule().objection(math.nan, None) == "the model's answer is not a number"


def test_the_metadata_of_every_valid_number_reads_back(folder: Path) -> None:
    change(folder, "temperature", 1)
    change(folder, "recipe.learning_rate", 1e-5)
    assert read_metadata(folder).recipe["learning_rate"] == 1e-5
