"""A scoring run says whether its images differ from the validation images, and waits if it has too few."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from mri_model import api
from mri_model.data.decode import content_of, decode
from mri_model.data.manifest import find_manifest
from mri_model.data.phantom import write_phantom
from mri_model.data.reading import facts_of
from mri_model.models.artifact import load_model
from mri_model.models.training_images import TRAINING_IMAGES_FILE
from mri_model.scoring import drift
from mri_model.scoring.drift import SAMPLE, is_compared, pack, unpack
from mri_model.settings import Settings


def runs(settings: Settings) -> list[dict[str, Any]]:
    """The runs, oldest first."""
    return api.query(settings, "scored-runs").iloc[::-1].to_dict("records")


def metrics(settings: Settings) -> pd.DataFrame:
    return api.query(settings, "scored-drift").dropna(subset="statistic")


@pytest.fixture(scope="session")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images like those of the training, in one flat folder."""
    classes, flat = tmp_path_factory.mktemp("classes"), tmp_path_factory.mktemp("unseen")
    write_phantom(classes, per_class=3, seed=99, max_side=96)
    for number, file in enumerate(sorted(each for each in classes.rglob("*") if decoded(each) is not None)):
        file.rename(flat / f"{number:03}{file.suffix}")
    return flat


def decoded(file: Path) -> np.ndarray | None:
    return decode(content_of(file.read_bytes())).pixels if file.is_file() else None


def changed(folder: Path, target: Path, change: Any) -> Path:
    """The images of a folder, changed."""
    target.mkdir()
    for file in sorted(folder.iterdir()):
        pixels = decoded(file)
        assert pixels is not None
        cv2.imwrite(str(target / f"{file.stem}.png"), change(np.ascontiguousarray(pixels)))
    return target


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_images_like_the_validation_images_are_no_drift_and_brighter_ones_are(
    settings: Settings, unseen: Path, tmp_path: Path
) -> None:
    scored = api.score(settings, unseen)
    assert scored.drift and scored.drift[0] == "no", scored.drift
    brighter = changed(unseen, tmp_path / "brighter", lambda pixels: 255 - (255 - pixels) // 2)
    scored = api.score(settings, brighter)
    assert scored.drift and scored.drift[0] == "yes"
    assert "brightness" in scored.drift[1] and "differ from the validation images" in scored.drift[1]
    first, second = runs(settings)
    assert (first["drift"], second["drift"]) == ("no", "yes")
    rows = metrics(settings).set_index(["run_id", "statistic"])
    assert set(rows.loc[second["id"]].index) == {"label", "contrast", "brightness", "variation"}
    brightness = rows.loc[(second["id"], "brightness")]
    assert brightness["differs"] and brightness["distance"] > brightness["expected"] + 0.1
    assert not rows.loc[first["id"]]["differs"].any()


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_small_folders_wait_until_they_can_be_tested_together_and_are_tested_once(
    settings: Settings, unseen: Path, tmp_path: Path
) -> None:
    files = sorted(unseen.iterdir())
    small = [files[at : at + 30] for at in (0, 30, 60)]
    states = []
    for number, chosen in enumerate(small):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in chosen:
            (folder / file.name).write_bytes(file.read_bytes())
        scored = api.score(settings, folder)
        assert scored.drift
        states.append(scored.drift[0])
        if number == 0:
            assert "the next small runs add theirs" in scored.drift[1]
            assert api.score(settings, folder).drift is None, "nothing new"
    assert states == ["waiting", "no", "waiting"]
    again = [run for run in runs(settings) if isinstance(run["drift"], str)]
    assert [run["drift"] for run in again] == ["no", "no", "waiting"]
    tested = metrics(settings)
    assert set(tested["run_id"]) == {run["id"] for run in again[:2]}
    assert set(tested["images"]) == {60}


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_a_large_run_is_tested_alone_and_does_not_hide_what_waits(
    settings: Settings, unseen: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for file in sorted(unseen.iterdir())[:10]:
        (few / file.name).write_bytes(file.read_bytes())
    assert api.score(settings, changed(few, tmp_path / "brighter", lambda pixels: 255 - (255 - pixels) // 2)).drift
    scored = api.score(settings, unseen)
    assert scored.drift and scored.drift[0] == "no" and "together" not in scored.drift[1]
    assert [run["drift"] for run in runs(settings)] == ["waiting", "no"]


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_new_files_beside_many_known_ones_are_all_compared(
    settings: Settings, unseen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "SAMPLE", 30)
    folder = tmp_path / "growing"
    folder.mkdir()
    for number, file in enumerate(sorted(unseen.iterdir())[:80]):
        if number == 70:
            api.score(settings, folder)
        (folder / file.name).write_bytes(file.read_bytes())
    scored = api.score(settings, folder)
    assert scored.counts.n_reused >= 65
    both, first = api.query(settings, "scored-drift")["images"]
    assert both - first == 10


def test_about_so_many_files_are_compared_always_the_same_ones() -> None:
    generator = np.random.default_rng(0)
    digests = [generator.bytes(32).hex() for _ in range(20_000)]
    chosen = [each for each in digests if is_compared(each, len(digests))]
    assert SAMPLE < len(chosen) < 1.5 * SAMPLE
    assert chosen == [each for each in digests if is_compared(each, len(digests))]
    assert all(is_compared(each, SAMPLE - 1) for each in digests)


def test_a_fingerprint_is_that_of_the_manifest(phantom: Path) -> None:
    files = sorted(phantom.rglob("*.png"))[:3] + sorted(phantom.rglob("*.jpeg"))[:3]
    for file in files:
        content = content_of(file.read_bytes())
        pixels = decode(content).pixels
        assert pixels is not None
        facts, found = facts_of(decode(content, grey=True)), unpack([pack(pixels)])
        assert facts.thumbnail is not None and facts.descriptor is not None
        assert found.brightness[0] == pytest.approx(facts.thumbnail.mean(), abs=1)  # luma, or computed from colours
        assert found.variation[0] == pytest.approx(facts.thumbnail.std(), abs=1)
        assert found.descriptors[0].tolist() == facts.descriptor.tolist() or file.suffix == ".jpeg"


def test_images_that_the_model_was_trained_with_are_not_compared(
    settings: Settings, trained: Path, phantom: Path
) -> None:
    model = load_model(trained, torch.device("cpu"))
    rows = model.metadata.partition(find_manifest(settings.manifests)).split_of
    scored = api.score(settings, phantom)
    assert scored.drift
    assert scored.drift[1].startswith(f"{(rows == 'test').sum()} images of ")


def test_without_the_list_of_training_images_all_are_compared(settings: Settings, trained: Path, phantom: Path) -> None:
    (trained / TRAINING_IMAGES_FILE).write_bytes(b"damaged")
    scored = api.score(settings, phantom)
    assert scored.drift and scored.drift[0] in ("yes", "no")
    assert scored.drift[1].startswith(f"{scored.counts.n_scored + scored.counts.n_abstained} images of ")
