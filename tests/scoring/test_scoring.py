import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from mri_model.scoring import listing
from mri_model.scoring import run as run_module
from mri_model.scoring.parts import write_part
from mri_model.scoring.run import ScoringCounts
from mri_model.settings import Settings
from mri_model.training.recipe import Recipe
from tests.conftest import QUICK


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


@pytest.mark.usefixtures("trained")
def test_a_row_has_the_five_best_classes_and_the_marginals_of_its_answer(
    settings: Settings, trained: Path, incoming: Path
) -> None:
    labels = load_model(trained, torch.device("cpu")).labels
    for row in api.score(settings, incoming).rows.to_dict("records"):
        top = row["top5"]
        assert (top[0]["label"], top[0]["probability"]) == (row["label"], row["probability"])
        falling = [each["probability"] for each in top]
        assert len(top) == 5 and falling == sorted(falling, reverse=True) and sum(falling) <= 1.000001
        own = next(label for label in labels if label.name == row["label"])
        for part in ("tumor", "contrast"):
            same = {label.name for label in labels if getattr(label, part) == getattr(own, part)}
            known = sum(each["probability"] for each in top if each["label"] in same)
            assert known - 1e-6 <= row[f"{part}_probability"] <= known + 1 - sum(falling) + 1e-6
        assert row["seconds"] > 0


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
    found = predict(model.network, model.preprocessing, pixels, positions, model.device, recipe.tta_hflip)
    evaluated = found.logits.argmax(1).numpy()
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


@pytest.mark.usefixtures("trained")
def test_a_file_that_changes_back_has_its_first_row_again(settings: Settings, incoming: Path) -> None:
    first, other = (incoming / "00.jpeg").read_bytes(), (incoming / "01.jpeg").read_bytes()
    runs = []
    for content in (first, other, first):
        (incoming / "00.jpeg").write_bytes(content)
        runs.append(api.score(settings, incoming))
        shown = api.query(settings, "predictions").set_index("path")
        assert len(shown) == 20
        row = runs[-1].rows.iloc[0]
        assert (row["label"], row["probability"]) == tuple(shown.loc[row["path"], ["label", "probability"]])
    before, _, after = (run.rows.iloc[0] for run in runs)
    assert (after["sha256"], after["run_id"]) == (before["sha256"], before["run_id"])
    assert runs[-1].counts.n_reused == 20


@pytest.mark.usefixtures("trained")
def test_what_is_gone_or_was_a_link_is_no_longer_listed(settings: Settings, incoming: Path) -> None:
    (incoming / "link.jpeg").symlink_to(incoming / "00.jpeg")
    api.score(settings, incoming)
    assert api.query(settings, "unscored")["reason"].tolist() == ["symbolic link"]
    (incoming / "link.jpeg").unlink()
    shutil.copy(incoming / "00.jpeg", incoming / "link.jpeg")
    (incoming / "05.jpeg").unlink()
    api.score(settings, incoming)
    assert api.query(settings, "unscored").empty
    names = [Path(path).name for path in api.query(settings, "predictions")["path"]]
    assert "link.jpeg" in names and "05.jpeg" not in names and len(names) == 20


@pytest.mark.usefixtures("trained")
def test_a_folder_without_one_image_is_an_error_that_counts_the_reasons(settings: Settings, tmp_path: Path) -> None:
    for name in ("page.jpg", "text.jpg"):
        (tmp_path / "web" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "web" / name).write_text("<html></html>")
    (tmp_path / "web" / "link.jpg").symlink_to(tmp_path / "web" / "page.jpg")
    scored = api.score(settings, tmp_path / "web")
    assert scored.counts == ScoringCounts(3, 0, 0, 3, 0)
    with pytest.raises(MriError, match=r"none of 3 files could be scored: 2 .*, 1 symbolic link"):
        scored.require_scores()


@pytest.mark.usefixtures("trained")
def test_the_systems_own_files_are_not_scored(settings: Settings) -> None:
    with pytest.raises(MriError, match="would be read as data"):
        api.score(settings, settings.root.parent)


@pytest.mark.usefixtures("trained")
def test_rows_are_written_as_csv_too(settings: Settings, incoming: Path, tmp_path: Path) -> None:
    (incoming / "zero.jpg").touch()
    scored = api.score(settings, incoming, csv=tmp_path / "out" / "scores.csv")
    written = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert written["path"].tolist() == scored.rows["path"].tolist()
    assert written["label"].fillna("").tolist() == scored.rows["label"].fillna("").tolist()


@pytest.mark.usefixtures("trained")
def test_a_csv_file_that_cannot_be_is_refused_before_the_work(
    settings: Settings, incoming: Path, tmp_path: Path
) -> None:
    for file, words in ((tmp_path, "Is a directory"), (incoming / "new" / "scores.csv", "would be read as one of its")):
        with pytest.raises(MriError, match=words):
            api.score(settings, incoming, csv=file)
    assert api.query(settings, "scored-runs").empty and len(list(incoming.iterdir())) == 20


@pytest.mark.usefixtures("trained")
def test_a_csv_file_goes_where_a_link_points_and_never_in_the_place_of_a_pipe(
    settings: Settings, incoming: Path, tmp_path: Path
) -> None:
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to(tmp_path / "scores.csv")
    api.score(settings, incoming, csv=link)
    assert link.is_symlink() and len(pd.read_csv(tmp_path / "scores.csv")) == 20
    os.mkfifo(pipe)
    link.unlink()
    link.symlink_to(pipe)
    for file in (pipe, link):
        with pytest.raises(MriError, match=r"cannot write .*: not a regular file"):
            api.score(settings, incoming, csv=file)
    assert pipe.is_fifo() and link.is_symlink()


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("stays_empty", [False, True])
def test_a_folder_that_goes_away_half_way_stops_the_run_which_goes_on_when_it_is_back(
    settings: Settings, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays_empty: bool
) -> None:
    monkeypatch.setattr(listing, "SHARD_FILES", 5)
    monkeypatch.setattr(run_module, "FILES_PER_TASK", 1)  # files that are read ahead are in memory already

    away = tmp_path / "away"

    def progress(stage: str, done: int, total: int) -> None:
        if done and not away.exists():  # as a share that is unmounted, with or without its mount point
            incoming.rename(away)
            if stays_empty:
                incoming.mkdir()

    with pytest.raises(MriError, match="incoming is gone") as caught:
        api.score(settings, incoming, run=api.StepRunner(progress))
    assert "run the same command" in caught.value.hint
    assert 0 < len(api.query(settings, "predictions")) < 20 and api.query(settings, "unscored").empty
    if stays_empty:
        incoming.rmdir()
    away.rename(incoming)
    scored = api.score(settings, incoming)
    assert (scored.counts.n_found, scored.counts.n_rejected) == (20, 0)
    assert len(api.query(settings, "scored-runs")) == 1


@pytest.mark.usefixtures("trained")
def test_a_file_that_goes_away_alone_is_rejected(
    settings: Settings, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SHARD_FILES", 5)
    monkeypatch.setattr(run_module, "FILES_PER_TASK", 1)  # files that are read ahead are in memory already
    last = max(incoming.iterdir())

    def progress(stage: str, done: int, total: int) -> None:
        last.unlink(missing_ok=True)

    scored = api.score(settings, incoming, run=api.StepRunner(progress))
    assert scored.reasons.named == {str(last): "cannot be read: No such file or directory"}


@pytest.mark.usefixtures("trained")
def test_a_full_disk_is_one_clear_error_and_the_same_command_goes_on(
    settings: Settings, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SHARD_FILES", 5)
    written = []

    def fill_up(file: Path, *arguments: Any, **named: Any) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        written.append(write_part(file, *arguments, **named))

    with monkeypatch.context() as then, pytest.raises(MriError, match="No space left on device") as caught:
        then.setattr(run_module, "write_part", fill_up)
        api.score(settings, incoming)
    assert "same command" in caught.value.hint
    scored = api.score(settings, incoming)
    assert scored.counts == ScoringCounts(20, 20, 0, 0, 0)
    assert api.query(settings, "scored-runs")["status"].tolist() == ["finished"]


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("damaged", ["listing.parquet", "part-*.parquet"])
def test_a_damaged_file_of_an_interrupted_run_is_one_error_that_says_how_to_start_anew(
    settings: Settings, incoming: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    monkeypatch.setattr(listing, "SHARD_FILES", 5)

    def interrupt(stage: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.score(settings, incoming, run=api.StepRunner(interrupt))
    (file,) = settings.scores.glob(f"*/{damaged}")
    file.write_bytes(b"damaged")
    with pytest.raises(MriError, match="is damaged") as caught:
        api.score(settings, incoming)
    assert "\n" not in str(caught.value)
    assert caught.value.hint == f"run: mri delete {file.parent.name} --yes, then score again"
    api.delete(settings, api.plan_deletion(settings, file.parent.name))
    assert api.score(settings, incoming).counts.n_scored == 20
