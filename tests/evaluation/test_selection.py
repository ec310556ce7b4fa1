"""An evaluation does not count images that the model has seen, whatever manifest they come from."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mri_model import api, steps
from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.errors import RefusedError, UsageError
from mri_model.evaluation.metrics import NEAR_DUPLICATE, SIMILAR, UNLIKE
from mri_model.evaluation.selection import Selection, select_images
from mri_model.models.artifact import Model
from mri_model.models.training_images import TRAINING_IMAGES_FILE, TrainingImages, write_training_images
from mri_model.settings import Settings
from tests.conftest import QUICK
from tests.models.test_choice import MODEL

CLASSES = ("glioma T1", "glioma T2", "healthy T1")


def blobs(seed: int) -> np.ndarray:
    """A picture like no other one."""
    grey = np.random.default_rng(seed).normal(size=(12, 12))
    large = cv2.resize(grey, (96, 96), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(large, np.empty_like(large), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def brighter(picture: np.ndarray, noise_level: float = 14) -> np.ndarray:
    """A near duplicate that is not the same picture."""
    noise = np.random.default_rng(0).normal(0, noise_level, (24, 24))
    return np.clip(picture * 0.8 + 30 + cv2.resize(noise, (96, 96)), 0, 255).astype(np.uint8)


def save(folder: Path, label: str, name: str, picture: np.ndarray, compression: int = 3) -> None:
    (folder / label).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / label / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, compression])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three classes of 20 unrelated pictures."""
    folder = tmp_path / "data"
    for place, label in enumerate(CLASSES):
        for number in range(20):
            save(folder, label, f"{number:02d}", blobs(100 * place + number))
    return folder


def ingest(folder: Path, tmp_path: Path, seed: int = 0) -> Manifest:
    return write_manifest(take_inventory(folder), tmp_path / "manifests", seed)


def model_of(manifest: Manifest, tmp_path: Path, protocol: str = "random") -> Model:
    """A model as far as the choice of images goes: nothing is trained."""
    metadata = replace(MODEL, classes=manifest.classes, protocol=protocol, manifest=manifest.digest)
    write_training_images(tmp_path / "m", metadata.id, TrainingImages.of(metadata.partition(manifest)))
    return Model(tmp_path / "m", metadata, None, torch.device("cpu"))  # type: ignore[arg-type]


def chosen(selection: Selection, **values: Any) -> list[str]:
    """Paths of the images with these values."""
    rows = selection.rows
    for name, value in values.items():
        rows = rows[(selection.images.loc[rows.index, name] == value).to_numpy()]
    return rows["path"].tolist()


def rename(folder: Path) -> None:
    for file in sorted(folder.rglob("*.png")):
        file.rename(file.with_name(f"patient {file.stem}.png"))


def encode_again(folder: Path) -> None:
    for file in sorted(folder.rglob("*.png")):
        save(folder, file.parent.name, file.stem, cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), compression=9)


def make_jpeg(folder: Path) -> None:
    for file in sorted(folder.rglob("*.png")):
        cv2.imwrite(str(file.with_suffix(".jpg")), cv2.imread(str(file), cv2.IMREAD_GRAYSCALE))
        file.unlink()


def test_images_have_their_patient_only_where_it_is_certain(data: Path, tmp_path: Path) -> None:
    manifest = ingest(data, tmp_path)
    model, frame = model_of(manifest, tmp_path), manifest.frame
    named = replace(manifest, frame=frame.assign(patient=[f"p{row // 3}" for row in range(len(frame))]))
    assert select_images(model, named).images["patient"].isna().all()
    certain = replace(named, frame=named.frame.assign(series="s"))
    selection = select_images(model, certain)
    assert selection.images["patient"].tolist() == selection.rows["patient"].tolist()


@pytest.mark.parametrize("change", [lambda folder: None, rename, encode_again, make_jpeg])
def test_seen_images_are_left_out_whatever_their_names_and_bytes(data: Path, tmp_path: Path, change: Any) -> None:
    trained = ingest(data, tmp_path)
    model = model_of(trained, tmp_path)
    change(data)
    other = ingest(data, tmp_path, seed=1)
    test = other.partition("random").rows("test")
    selection = select_images(model, other)
    fresh = {
        Path(path).parent.name + "/" + Path(path).stem for path in trained.partition("random").rows("test")["path"]
    }
    expected = [path for path in test["path"] if path.removesuffix(Path(path).suffix).replace("patient ", "") in fresh]
    assert 0 < len(expected) < len(test)
    assert selection.rows["path"].tolist() == expected
    assert selection.n_seen == len(test) - len(expected)
    assert len(selection.targets) == len(selection.images) == len(expected)


def test_on_the_manifest_of_the_training_the_split_is_that_of_the_protocol(data: Path, tmp_path: Path) -> None:
    save(data, CLASSES[0], "copy", cv2.imread(str(data / CLASSES[0] / "00.png"), cv2.IMREAD_GRAYSCALE), 9)
    manifest = ingest(data, tmp_path)
    for split in ("train", "val", "test"):
        selection = select_images(model_of(manifest, tmp_path), manifest, split)
        assert selection.n_seen == 0
        assert selection.rows.equals(manifest.partition("random").rows(split))


def test_images_that_were_all_seen_are_refused_with_their_number(data: Path, tmp_path: Path) -> None:
    manifest = ingest(data, tmp_path)
    model = model_of(manifest, tmp_path)
    for path in manifest.partition("random").rows("test")["path"]:
        (data / path).unlink()
    rest = ingest(data, tmp_path)
    n = len(rest.partition("random").rows("test"))
    with pytest.raises(RefusedError, match=f"has seen all of the {n} test images in training or validation"):
        select_images(model, rest)
    with pytest.raises(RefusedError, match=f"has seen all of the {len(rest.frame)} images of manifest {rest.digest}"):
        select_images(model, rest, "all")


def test_all_images_of_another_manifest_can_be_evaluated(data: Path, tmp_path: Path) -> None:
    model = model_of(ingest(data, tmp_path), tmp_path)
    shutil.rmtree(data)
    for place, label in enumerate(CLASSES):
        for number in range(4):
            save(data, label, f"new {number}", blobs(1000 + 100 * place + number))
    selection = select_images(model, ingest(data, tmp_path), "all")
    assert (len(selection.rows), selection.n_seen) == (12, 0)
    assert selection.images["duplicate_free"].all()


def test_all_images_of_the_manifest_of_the_training_are_wrong_usage(data: Path, tmp_path: Path) -> None:
    manifest = ingest(data, tmp_path)
    with pytest.raises(UsageError):
        select_images(model_of(manifest, tmp_path), manifest, "all")


def test_relatives_of_training_images_in_another_manifest_are_not_duplicate_free(data: Path, tmp_path: Path) -> None:
    manifest = ingest(data, tmp_path)
    model = model_of(manifest, tmp_path)
    train = manifest.partition("random").rows("train")
    path, another = map(Path, train.loc[train["label"] == "glioma T1", "path"].iloc[:2])
    picture = cv2.imread(str(data / path), cv2.IMREAD_GRAYSCALE)
    new = tmp_path / "new"
    save(new, "glioma T1", "near duplicate", brighter(picture))
    save(new, "healthy T1", "near duplicate of another class", brighter(picture))
    save(new, "glioma T2", "mirrored", cv2.flip(cv2.imread(str(data / another), cv2.IMREAD_GRAYSCALE), 1))
    save(new, "glioma T2", "unrelated", blobs(5000))
    save(new, "glioma T2", "2026-01-01 10_00_00", blobs(5001))  # the next image of the series was trained on
    shutil.copy(data / path, new / "glioma T1" / "2026-01-01 10_00_30.png")
    selection = select_images(model, ingest(new, tmp_path), "all")
    assert selection.n_seen == 1
    assert chosen(selection, resemblance=NEAR_DUPLICATE) == [
        "glioma T1/near duplicate.png",
        "healthy T1/near duplicate of another class.png",
    ]
    assert chosen(selection, duplicate_free=True) == ["glioma T2/unrelated.png"]
    assert chosen(selection, resemblance=UNLIKE) == ["glioma T2/unrelated.png"]
    assert chosen(selection, resemblance=SIMILAR) == ["glioma T2/2026-01-01 10_00_00.png", "glioma T2/mirrored.png"]


def test_relatives_of_validation_images_are_not_independent_either(data: Path, tmp_path: Path) -> None:
    manifest = ingest(data, tmp_path)
    model = model_of(manifest, tmp_path)
    validated = manifest.partition("random").rows("val")
    new = tmp_path / "new"
    for kind, change in (
        ("like", lambda picture: brighter(picture, 11)),
        ("mirrored", lambda picture: cv2.flip(picture, 1)),
    ):
        for place, (path, label) in enumerate(validated[["path", "label"]].itertuples(index=False)):
            save(new, label, f"{kind} {place}", change(cv2.imread(str(data / path), cv2.IMREAD_GRAYSCALE)))
    selection = select_images(model, ingest(new, tmp_path), "all")
    assert len(selection.rows) > len(validated) and not selection.images["duplicate_free"].any()
    assert not chosen(selection, resemblance=UNLIKE)


@pytest.mark.parametrize("side", [250, 150, 100])
def test_smaller_copies_of_seen_images_are_left_out(tmp_path: Path, side: int) -> None:
    data, new = tmp_path / "data", tmp_path / "new"
    for place, label in enumerate(CLASSES):
        for number in range(12):
            picture = cv2.resize(blobs(100 * place + number), (500, 430))
            save(data, label, f"{number}", picture)
            save(new, label, f"small {number}", cv2.resize(picture, (side, side)))
    model = model_of(manifest := ingest(data, tmp_path), tmp_path)
    selection = select_images(model, ingest(new, tmp_path), "all")
    assert selection.n_seen == manifest.frame["split_random"].isin(["train", "val"]).sum()


def test_a_manifest_may_lack_classes_of_the_model(data: Path, tmp_path: Path) -> None:
    model = model_of(ingest(data, tmp_path), tmp_path)
    new = tmp_path / "new"
    for number in range(4):
        save(new, CLASSES[2], f"{number}", blobs(7000 + number))
    selection = select_images(model, ingest(new, tmp_path), "all")
    assert selection.targets.tolist() == [2, 2, 2, 2]


def test_a_manifest_with_other_classes_or_another_order_is_refused(data: Path, tmp_path: Path) -> None:
    manifest = ingest(data, tmp_path)
    other = replace(manifest, digest="other", classes=manifest.classes[::-1])
    with pytest.raises(RefusedError, match="different classes: their order differs"):
        select_images(model_of(manifest, tmp_path), other, "all")


def test_a_near_duplicate_of_another_class_is_not_duplicate_free_under_groups_either(
    data: Path, tmp_path: Path
) -> None:
    for number in range(20):
        picture = cv2.imread(str(data / CLASSES[0] / f"{number:02d}.png"), cv2.IMREAD_GRAYSCALE)
        save(data, CLASSES[2], f"like {number:02d}", brighter(picture))
    manifest = ingest(data, tmp_path)
    selection = select_images(model_of(manifest, tmp_path, "grouped"), manifest)
    rows = manifest.frame.set_index("path")
    pairs = {f"glioma T1/{number:02d}.png": f"healthy T1/like {number:02d}.png" for number in range(20)}
    pairs |= {other: one for one, other in pairs.items()}
    leaking = [p for p in selection.rows["path"] if p in pairs and rows.loc[pairs[p], "split_grouped"] == "train"]
    assert leaking and chosen(selection, duplicate_free=False) == leaking
    assert chosen(selection, resemblance=NEAR_DUPLICATE) == leaking


def test_the_same_images_under_another_digest_have_the_same_relatives(data: Path, tmp_path: Path) -> None:
    for number in range(10):
        picture = cv2.imread(str(data / CLASSES[0] / f"{number:02d}.png"), cv2.IMREAD_GRAYSCALE)
        save(data, CLASSES[1], f"like {number:02d}", brighter(picture))
    manifest = ingest(data, tmp_path)
    model = model_of(manifest, tmp_path)
    own = select_images(model, manifest)
    (data / "notes.txt").write_text("one more file")
    again = ingest(data, tmp_path)
    assert again.digest != manifest.digest
    other = select_images(model, again)
    assert 0 < own.images["duplicate_free"].sum() < len(own.images)
    assert (
        other.images.drop(columns="group")
        .reset_index(drop=True)
        .equals(own.images.drop(columns="group").reset_index(drop=True))
    )


@pytest.mark.slow
def test_a_model_without_its_training_images_scores_and_is_not_evaluated(settings: Settings, phantom: Path) -> None:
    api.ingest(settings, phantom)
    (folder,) = api.train(settings, replace(QUICK, epochs=1)).folders
    done = api.evaluate(settings)
    assert (done.overall.n, done.n_seen) == (44, 0)
    api.ingest(settings, phantom, seed=1)
    other = api.evaluate(settings, manifest_name="latest")
    assert (other.overall.n + other.n_seen, other.n_seen > 0) == (44, True)
    with steps.open_store(settings) as store:
        assert store.query("evaluations")["n_seen"].tolist() == [other.n_seen, 0]
        assert store.query("similarity").groupby("similarity")["n"].sum().tolist() == [other.overall.n] * 2
    (folder / TRAINING_IMAGES_FILE).unlink()
    assert api.score(settings, phantom).counts.n_rejected == 0
    with pytest.raises(RefusedError, match="is missing: without it nobody can say"):
        api.evaluate(settings)
