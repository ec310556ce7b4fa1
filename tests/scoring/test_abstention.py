import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from mri_model import api
from mri_model.data.manifest import find_manifest
from mri_model.data.pixel_store import pack_pixels
from mri_model.errors import MriError, RefusedError
from mri_model.models.artifact import Model, load_model
from mri_model.models.guard import GUARD_FILE
from mri_model.models.inference import predict
from mri_model.results import schema
from mri_model.scoring.decision import AnswerRule
from mri_model.settings import Settings
from mri_model.steps import open_store

CPU = torch.device("cpu")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Noise, flat images, and a photograph in color and in grey."""
    from sklearn.datasets import load_sample_image

    random = np.random.default_rng(0)
    photograph = load_sample_image("china.jpg")
    pictures = {
        "uniform": random.integers(0, 256, (90, 90), dtype=np.uint8),
        "gaussian": random.normal(128, 40, (90, 90, 3)).clip(0, 255).astype(np.uint8),
        "white": np.full((90, 90), 255, np.uint8),
        "photograph": photograph,
        "photograph-grey": photograph.mean(axis=2).astype(np.uint8),
    }
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name, picture in pictures.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


def without_guard(model: Path) -> None:
    """Make a model folder one that was written before there were guards."""
    (model / GUARD_FILE).unlink()
    metadata = json.loads((model / "model.json").read_text())
    del metadata["guard"]
    (model / "model.json").write_text(json.dumps(metadata))


@pytest.mark.usefixtures("trained")
def test_foreign_images_get_no_answer_and_the_reason_but_their_row_is_complete(
    settings: Settings, foreign: Path
) -> None:
    scored = api.score(settings, foreign)
    assert (scored.counts.n_abstained, scored.counts.n_scored) == (5, 0)
    scored.require_scores()  # they could be scored
    for row in scored.rows.to_dict("records"):
        assert row["status"] == "abstained"
        assert row["reason"].startswith(f"unlike the training images: distance {row['distance']:.2f}, threshold ")
        assert row["label"] and row["top5"][0]["label"] == row["label"] == row["prediction_set"][0]
    assert len(api.query(settings, "unscored")) == 5
    assert api.query(settings, "predictions")["distance"].notna().all()


@pytest.mark.usefixtures("trained")
def test_images_like_the_training_images_mostly_get_an_answer(settings: Settings, phantom: Path) -> None:
    scored = api.score(settings, phantom)
    assert scored.counts.n_abstained <= 0.05 * scored.counts.n_found
    rows = scored.rows
    assert rows["distance"].notna().all() and rows["risk"].isna().all()
    assert (rows["prediction_set"].str[0] == rows["label"]).all()


def test_the_thresholds_are_those_of_the_validation_images(settings: Settings, trained: Path) -> None:
    model = load_model(trained, CPU)
    reference, metadata = model.reference, model.metadata.guard
    assert reference and metadata
    logits, distances, targets = validation(settings, model)
    n = len(targets)
    assert metadata.n_validation == n
    assert metadata.distance == np.sort(distances)[min(int(np.ceil((n + 1) * 0.98)), n) - 1]
    passes = distances <= metadata.distance
    chances = (logits[passes] / model.metadata.temperature).softmax(dim=1).numpy()
    assert reference.probability[passes] == pytest.approx(chances.max(axis=1), abs=1e-6)
    assert (reference.answer[passes] == chances.argmax(axis=1)).all()
    assert (reference.target == targets).all()
    covered = chances[np.arange(len(chances)), targets[passes]] >= metadata.set_probability - 1e-6
    assert 0.9 <= covered.mean() <= 0.95


def validation(settings: Settings, model: Model) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Logits, distances and class indices of the model's validation images."""
    manifest = find_manifest(settings.manifests)
    rows = model.metadata.partition(manifest).rows("val")
    pixels = pack_pixels(manifest, model.preprocessing, settings.pixels)
    found = predict(model.network, model.preprocessing, pixels, rows.index.to_numpy(), CPU)
    assert model.guard
    return found.logits, model.guard.distances(found.features.numpy()), manifest.class_indices(rows["label"])


def test_answers_below_the_probability_for_a_risk_are_not_given(trained: Path) -> None:
    rule = AnswerRule(distance=30.5, risk=0.05, probability=0.77)
    assert rule.objection(0.41, 12.0) == "probability 0.410 below 0.770, chosen for a risk of 5 %"
    assert rule.objection(0.41, 41.2) == "unlike the training images: distance 41.20, threshold 30.50"
    assert rule.objection(0.99, float("nan")) is not None
    assert rule.objection(0.77, 30.5) is None
    assert AnswerRule().objection(0.01, None) is None


@pytest.mark.usefixtures("trained")
def test_a_risk_that_validation_cannot_guarantee_is_refused_with_the_lowest_that_it_can(
    settings: Settings, incoming: Path
) -> None:
    with pytest.raises(RefusedError, match=r"cannot guarantee a risk of 0\.1 % with 95 % confidence") as caught:
        api.score(settings, incoming, risk=0.001)
    assert "--risk" in caught.value.hint
    assert api.query(settings, "scored-runs").empty


@pytest.mark.usefixtures("trained")
def test_another_risk_decides_again_and_the_same_one_keeps_the_rows(
    settings: Settings, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.score(settings, incoming)
    median = float(first.rows["probability"].median())
    monkeypatch.setattr("mri_model.scoring.decision.risk_threshold", lambda *_: median)
    second = api.score(settings, incoming, risk=0.3)
    assert second.counts.n_reused == 0 and 0 < second.counts.n_abstained < 20
    rows = second.rows
    assert ((rows["status"] == "abstained") == (rows["probability"] < median)).all()
    assert (rows["risk"] == 0.3).all() and set(rows["run_id"]) == {second.run_id}
    assert rows[rows["status"] == "abstained"]["reason"].str.contains("chosen for a risk of 30 %").all()
    assert api.score(settings, incoming, risk=0.3).counts.n_reused == 20
    assert api.score(settings, incoming).counts.n_scored == first.counts.n_scored
    with open_store(settings) as store, store.reading() as connection:
        assert connection.execute(schema.prediction.select()).mappings().all()[0]["risk"] is None
    assert api.query(settings, "scored-runs")["risk"].notna().sum() == 2


def test_a_model_folder_without_a_guard_scores_without_one_and_says_so(
    settings: Settings, trained: Path, foreign: Path
) -> None:
    without_guard(trained)
    said: list[str] = []
    scored = api.score(settings, foreign, run=api.StepRunner(log=said.append))
    assert scored.counts.n_scored == 5
    assert any("has no guard" in line for line in said)
    assert scored.rows["distance"].isna().all() and scored.rows["prediction_set"].isna().all()
    with pytest.raises(RefusedError, match="has no guard"):
        api.score(settings, foreign, risk=0.5)


@pytest.mark.parametrize("how", ["changed", "missing", "exchanged"])
def test_a_guard_that_is_not_the_one_it_was_trained_with_is_refused(trained: Path, tmp_path: Path, how: str) -> None:
    file = trained / GUARD_FILE
    if how == "missing":
        file.unlink()
    elif how == "changed":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    else:
        shutil.copy(trained / "model.safetensors", file)
    with pytest.raises(MriError, match="is missing or not the file this model was written with"):
        load_model(trained, CPU)


def test_the_same_training_writes_the_same_guard(settings: Settings, trained: Path, trained_home: Path) -> None:
    from tests.conftest import QUICK

    before = (trained / GUARD_FILE).read_bytes()
    shutil.rmtree(trained)
    (folder,) = api.train(settings, QUICK).folders
    assert (folder / GUARD_FILE).read_bytes() == before


@pytest.mark.usefixtures("trained")
def test_a_csv_file_joins_the_labels_of_a_set(settings: Settings, incoming: Path, tmp_path: Path) -> None:
    scored = api.score(settings, incoming, csv=tmp_path / "scores.csv")
    written = pd.read_csv(tmp_path / "scores.csv")
    assert written["prediction_set"].str.split("; ").tolist() == [list(each) for each in scored.rows["prediction_set"]]
