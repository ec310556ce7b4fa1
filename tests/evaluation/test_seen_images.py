"""No evaluation counts an image that the model was trained on or chosen by, whatever manifest it comes from."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mri_model import api, steps
from mri_model.data.fingerprints import read_fingerprints
from mri_model.data.manifest import Manifest
from mri_model.errors import MriError, RefusedError
from mri_model.models.training_images import FILE, TrainingImages, read_training_images
from mri_model.settings import Settings
from tests.conftest import QUICK

pytestmark = pytest.mark.slow  # each test trains a model


@pytest.fixture
def trained(tmp_path: Path, own_phantom: Path) -> tuple[Settings, Manifest, Path]:
    settings = Settings(home=tmp_path / "home")
    manifest = api.ingest(settings, own_phantom)
    return settings, manifest, api.train(settings, QUICK).folders[0]


def learned(manifest: Manifest) -> set[str]:
    """SHA-256 of the images that a model of the random protocol is trained on or chosen by."""
    frame = manifest.frame
    return set(frame.loc[frame["split_random"].isin(["train", "val"]), "sha256"])


def test_another_seed_does_not_turn_training_images_into_test_images(
    trained: tuple[Settings, Manifest, Path], own_phantom: Path
) -> None:
    settings, first, _ = trained
    second = api.ingest(settings, own_phantom, seed=1)
    tested = second.partition("random").rows("test")["sha256"]
    evaluation = api.evaluate(settings, manifest_name="latest")
    assert 0 < evaluation.n_seen == tested.isin(learned(first)).sum()
    assert evaluation.overall.n == len(tested) - evaluation.n_seen
    assert evaluation.classes["support"].sum() == evaluation.overall.n
    with steps.open_store(settings) as store:
        assert store.query("evaluations")["n_seen"].tolist() == [evaluation.n_seen]


def test_neither_new_names_nor_another_encoding_make_an_image_unseen(
    trained: tuple[Settings, Manifest, Path], tmp_path: Path
) -> None:
    settings, first, _ = trained
    copies = tmp_path / "copies"
    for row in first.frame[first.frame["status"] == "ok"].itertuples():
        target = copies / row.label / f"renamed-{row.Index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = cv2.imread(str(first.root / row.path), cv2.IMREAD_GRAYSCALE)
        if row.Index % 2:
            shutil.copy(first.root / row.path, target.with_suffix(Path(row.path).suffix))
        else:
            cv2.imwrite(str(target), pixels)
    second = api.ingest(settings, copies, seed=1)
    (folder,) = {file.parent for file in settings.models.glob("*/model.json")}
    images = read_training_images(folder)
    fingerprints = read_fingerprints(second.folder, len(second.frame))
    numbers = second.frame["path"].str.extract(r"renamed-(\d+)")[0].astype(int)
    original = first.frame.loc[numbers]
    expected = original["split_random"].isin(["train", "val"]).to_numpy()
    grey = (original["stored_channels"] == 1).to_numpy()
    seen = images.seen(second.frame, fingerprints)
    assert (seen[grey] == expected[grey]).all()
    assert not (~expected & seen).any()
    evaluation = api.evaluate(settings, manifest_name="latest")
    assert evaluation.n_seen == seen[(second.frame["split_random"] == "test").to_numpy()].sum() > 0


def test_data_that_the_model_has_seen_altogether_is_refused(
    trained: tuple[Settings, Manifest, Path], tmp_path: Path
) -> None:
    settings, first, _ = trained
    for row in first.frame[first.frame["split_random"] == "train"].itertuples():
        target = tmp_path / "again" / row.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(first.root / row.path, target)
    second = api.ingest(settings, tmp_path / "again")
    n = len(second.partition("random").rows("train"))
    with pytest.raises(RefusedError, match=f"trained on or chosen by all {n} train images"):
        api.evaluate(settings, split="train", manifest_name="latest")


def test_on_its_own_manifest_a_model_is_evaluated_on_the_whole_test_split(
    trained: tuple[Settings, Manifest, Path],
) -> None:
    settings, manifest, _ = trained
    evaluation = api.evaluate(settings)
    assert (evaluation.n_seen, evaluation.overall.n) == (0, len(manifest.partition("random").rows("test")))


def test_without_its_training_images_a_model_is_not_evaluated_but_scores(
    trained: tuple[Settings, Manifest, Path], own_phantom: Path
) -> None:
    settings, _, folder = trained
    (folder / FILE).unlink()
    with pytest.raises(MriError, match="nothing says which images"):
        api.evaluate(settings)
    assert api.score(settings, own_phantom).counts.n_scored > 0


def test_no_file_name_is_kept_with_the_model(trained: tuple[Settings, Manifest, Path]) -> None:
    with np.load(trained[2] / FILE) as stored:
        texts = [name for name in stored.files if stored[name].dtype.kind == "U"]
    assert sorted(texts) == ["pixel_crc32", "sha256", "tumor"]


def test_near_duplicates_and_images_of_a_training_source_are_related(
    trained: tuple[Settings, Manifest, Path],
) -> None:
    _, manifest, folder = trained
    images, partition = read_training_images(folder), manifest.partition("random")
    rows = partition.rows("train")
    fingerprints = read_fingerprints(manifest.folder, len(manifest.frame))[rows.index.to_numpy()]
    assert images.related(rows, fingerprints).all()
    strangers = type(fingerprints)(
        np.random.default_rng(0).integers(0, 256, fingerprints.thumbnails.shape, np.uint8),
        np.random.default_rng(0).integers(0, 60, fingerprints.descriptors.shape, np.uint8),
    )
    assert not images.related(rows, strangers).any()
    assert vars(images).keys() == vars(TrainingImages.of(partition)).keys()
