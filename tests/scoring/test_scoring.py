import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mri_model import api
from mri_model.data.decode import read_image
from mri_model.data.manifest import find_manifest
from mri_model.data.pixel_store import pack_pixels
from mri_model.errors import MriError
from mri_model.models.artifact import load_model
from mri_model.models.inference import predict
from mri_model.models.metadata import read_metadata
from mri_model.scoring.run import ScoringCounts
from mri_model.settings import Settings
from mri_model.training.recipe import Recipe
from tests.conftest import QUICK


@pytest.fixture(scope="module")
def trained_home(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a manifest and a model. Tests copy it."""
    home = Settings(home=tmp_path_factory.mktemp("trained"), database_url="")
    api.ingest(home, phantom)
    api.train(home, QUICK)
    return home.root


@pytest.fixture
def trained(settings: Settings, trained_home: Path) -> Path:
    """The model folder in the test's own home."""
    shutil.copytree(trained_home, settings.root)
    return next(settings.models.glob("resnet18-*"))


@pytest.fixture
def incoming(own_phantom: Path, tmp_path: Path) -> Path:
    """20 images in one flat folder."""
    folder = tmp_path / "incoming"
    folder.mkdir()
    for number, file in enumerate(sorted(own_phantom.rglob("*.jpeg"))[:20]):
        file.rename(folder / f"{number:02d}.jpeg")
    return folder


@pytest.mark.usefixtures("trained")
def test_every_file_gets_one_row_and_bad_ones_a_reason(settings: Settings, incoming: Path) -> None:
    (incoming / "zero.jpg").touch()
    (incoming / "cut.jpg").write_bytes((incoming / "00.jpeg").read_bytes()[:900])
    (incoming / "notes.txt").write_text("hello")
    scored = api.score(settings, incoming)
    assert scored.counts == ScoringCounts(23, 20, 0, 3, 0)
    rows = scored.rows.set_index(scored.rows["path"].str.rpartition("/")[2])
    assert rows.loc["zero.jpg", "reason"] == "empty file"
    assert rows.loc["notes.txt", "status"] == "rejected"
    good = rows[rows["status"] == "scored"]
    assert good["probability"].between(0, 1).all()
    assert (good["label"] == good["tumor"].replace("NORMAL", "_NORMAL") + " " + good["contrast"]).all()
    assert pd.read_parquet(scored.parquet)["path"].tolist() == scored.rows["path"].tolist()


def test_each_row_is_about_its_own_file(settings: Settings, trained: Path, incoming: Path) -> None:
    (incoming / "05.jpeg").write_bytes(b"broken")  # a file left out must not shift the others
    rows = api.score(settings, incoming).rows
    model = load_model(trained, torch.device("cpu"))
    for row in rows[rows["status"] == "scored"].itertuples():
        pixels = read_image(Path(str(row.path))).pixels
        assert pixels is not None
        chances = model.probabilities(torch.from_numpy(model.preprocessing.shrink(pixels))[None])[0]
        assert model.classes[int(chances.argmax())] == row.label
        assert float(chances.max()) == pytest.approx(row.probability, abs=1e-4)


CROPPED = replace(QUICK, store_scale=1.5, crop_to_head=True, tta_hflip=True)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [QUICK, CROPPED], ids=["plain", "cropped from a larger store"])
def test_scoring_predicts_what_evaluation_predicts(
    settings: Settings, trained: Path, phantom: Path, recipe: Recipe
) -> None:
    manifest = find_manifest(settings.manifests)
    (folder,) = api.train(settings, recipe).folders
    assert (folder == trained) == (recipe == QUICK)
    model = load_model(folder, torch.device("cpu"))
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels)
    positions = manifest.frame.index.to_numpy()
    evaluated = predict(model.network, model.preprocessing, pixels, positions, model.device, recipe.tta_hflip)
    evaluated = evaluated.argmax(1).numpy()
    rows = api.score(settings, phantom, model.id).rows
    assert rows["path"].tolist() == [f"{phantom.resolve()}/{path}" for path in manifest.frame["path"]]
    assert rows["label"].tolist() == list(np.array(model.classes)[evaluated])


@pytest.mark.usefixtures("trained")
def test_a_second_run_scores_only_what_is_new_or_changed(settings: Settings, incoming: Path) -> None:
    first = api.score(settings, incoming)
    (incoming / "03.jpeg").write_bytes((incoming / "04.jpeg").read_bytes())
    (incoming / "20.jpeg").write_bytes((incoming / "05.jpeg").read_bytes())
    second = api.score(settings, incoming)
    assert second.counts == ScoringCounts(21, 21, 0, 0, 19)
    assert second.rows["path"].is_unique
    by_name = second.rows.set_index(second.rows["path"].str.rpartition("/")[2])
    assert set(by_name.loc[["03.jpeg", "20.jpeg"], "run_id"]) == {second.run_id}
    assert set(by_name.drop(["03.jpeg", "20.jpeg"])["run_id"]) == {first.run_id}
    assert by_name.loc["03.jpeg", "label"] == by_name.loc["04.jpeg", "label"]


@pytest.mark.usefixtures("trained")
def test_two_folders_with_the_same_names_and_files_both_get_their_rows(
    settings: Settings, incoming: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "00.jpeg").write_bytes((incoming / "00.jpeg").read_bytes())
    api.score(settings, incoming)
    assert api.score(settings, other).counts.n_reused == 0


def test_a_model_brought_to_another_machine_scores_there(
    trained: Path, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_HOME", str(tmp_path / "elsewhere"))
    elsewhere = Settings()
    assert api.score(elsewhere, incoming, str(trained)).counts.n_scored == 20


@pytest.mark.slow
def test_a_quick_trial_does_not_replace_the_best_model_and_the_run_says_which_it_uses(
    settings: Settings, trained: Path, incoming: Path
) -> None:
    api.train(settings, replace(QUICK, epochs=1, learning_rate=1e-5))
    said: list[str] = []
    scored = api.score(settings, incoming, "best", run=api.StepRunner(log=said.append))
    best = read_metadata(trained)
    assert scored.model_id == best.id
    assert said[0] == (
        f"model {best.id}: best validation macro-F1 ({best.metrics.val_f1:.3f}, random split) "
        f"of 2 models of manifest {best.manifest}"
    )


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(("what", "words"), [("missing", "no folder"), ("empty", "no files"), ("a file", "is a file")])
def test_what_is_no_folder_of_images_is_one_clear_error_about_scoring(
    settings: Settings, tmp_path: Path, what: str, words: str
) -> None:
    if what == "empty":
        (tmp_path / what).mkdir()
    if what == "a file":
        (tmp_path / what).touch()
    with pytest.raises(MriError, match=words) as caught:
        api.score(settings, tmp_path / what)
    assert caught.value.hint == "give a folder of images to score"
