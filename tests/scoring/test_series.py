"""Folders of DICOM series and NIfTI volumes, mixed with images: a row for each slice, and one for each series."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from mri_model import api, steps
from mri_model.data.decode import load_content
from mri_model.data.medical.choice import SliceChoice
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.slices import Slice
from mri_model.models.artifact import load_model
from mri_model.models.metadata import read_metadata, write_metadata
from mri_model.results import schema
from mri_model.scoring import listing, run, scorer
from mri_model.scoring.decision import AnswerRule
from mri_model.scoring.listing import Names, Reading, read_shard, state_of_folder, write_listing
from mri_model.settings import Settings

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

from tests.medical_files import write_dicom, write_nifti


@pytest.fixture
def mixed(tmp_path: Path, phantom: Path) -> Path:
    """Three images, a volume of 12 slices, a DICOM series of 12 files, a sagittal one of 3, and what is no image."""
    folder = tmp_path / "mixed"
    for number, file in enumerate(sorted(phantom.rglob("*.jpeg"))[:3]):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "images" / f"{number}.jpeg")
    write_nifti(folder / "sub-07" / "t1.nii", seed=1)
    write_dicom(folder / "dicom" / "ax", seed=2)
    write_dicom(folder / "dicom" / "sag", 3, seed=3, row=(0, 0, -1))
    (folder / "notes.txt").write_text("no image")
    return folder


def by_series(scored: run.ScoringRun, part: str) -> dict[str, Any]:
    """The row of the series whose slices have this in their paths."""
    series = series_of(scored.rows, part)
    (found,) = scored.series[scored.series["series"] == series].to_dict("records")
    return found


def series_of(rows: pd.DataFrame, part: str) -> str:
    (found,) = rows.loc[rows["path"].str.contains(part, regex=False), "series"].unique()
    return str(found)


def recorded(settings: Settings, table: Any) -> pd.DataFrame:
    with steps.open_store(settings) as store, store.reading() as connection:
        result = connection.execute(table.select())
        return pd.DataFrame(result.mappings().all(), columns=list(result.keys()))


@pytest.mark.usefixtures("trained")
def test_every_slice_has_a_row_with_its_series_and_patient_and_plain_images_have_none(
    settings: Settings, mixed: Path
) -> None:
    scored = api.score(settings, mixed)
    rows = scored.rows
    names = rows["path"].str.removeprefix(f"{mixed.resolve()}/").tolist()
    of_volume = [name for name in names if name.startswith("sub-07")]
    assert of_volume == [f"sub-07/t1.nii#z={z}" for z in range(2, 10)]
    assert [name for name in names if name.startswith("dicom/ax")] == [f"dicom/ax/IM{n:02}.dcm" for n in range(1, 13)]
    plain = rows[~rows["path"].str.contains("dicom|sub-07")]
    assert plain[["series", "patient", "probabilities"]].isna().all(axis=None) and len(plain) == 4
    of_series = rows.drop(plain.index)
    assert of_series["series"].str.fullmatch("[0-9a-f]{20}").all()
    assert set(of_series.loc[of_series["path"].str.contains("sub-07"), "patient"]) == {"sub-07"}
    left_out = of_series["reason"].fillna("").str.startswith("slice left out")
    assert left_out.any() and (of_series.loc[left_out, "status"] == "rejected").all()
    assert (of_series["sha256"].str.len() == 64).all(), "also of those that are rejected unread"
    assert scored.counts.n_found == len(rows) == scored.counts.n_rejected + rows["label"].notna().sum()
    assert "P1" not in rows.to_csv() and (settings.private / "key").is_file()


def test_a_slice_is_scored_as_decoding_it_alone_shows_it(settings: Settings, trained: Path, mixed: Path) -> None:
    model = load_model(trained, torch.device("cpu"))
    scored = api.score(settings, mixed).rows
    chosen = scored[scored["probabilities"].notna()]
    listed = {row.path: row for shard in shards(mixed) for row in shard}
    assert len(chosen) > 10
    for row in chosen.itertuples():
        found = listed[str(row.path)]
        assert found.picture
        (image,) = decode_slices(load_content(found.file), [found.picture])
        assert image.pixels is not None
        chances = model.probabilities(torch.from_numpy(model.preprocessing.shrink(image.pixels))[None])[0]
        assert np.allclose(chances.numpy(), row.probabilities, atol=1e-4)
        assert model.classes[int(np.argmax(row.probabilities))] == row.label


def shards(folder: Path) -> list[list[listing.ListedFile]]:
    from mri_model.data.medical.survey import survey
    from mri_model.data.pseudonyms import Pseudonyms

    names = Pseudonyms()
    _, candidates = listing.scan_folder(folder)
    file = folder.parent / "own-listing.parquet"
    found = write_listing(folder, file, survey(candidates, names), Reading(names))
    return [read_shard(file, number) for number in range(len(found.shard_sizes))]


def check_series(scored: run.ScoringRun, classes: tuple[str, ...]) -> None:
    """Each series is what its rows say, computed another way."""
    rows = scored.rows
    assert set(scored.series["series"]) == set(rows["series"].dropna())
    for series in scored.series.to_dict("records"):
        own = rows[rows["series"] == series["series"]]
        answered = own[own["status"] != "rejected"]
        counts = own["status"].value_counts()
        for status in ("scored", "abstained", "rejected"):
            assert series[f"n_{status}"] == counts.get(status, 0)
        assert series["n_images"] == len(own)
        if answered.empty:
            assert series["status"] == "rejected" and pd.isna(series["label"]) and series["reason"]
            continue
        mean = np.mean(answered["probabilities"].tolist(), axis=0)
        assert series["label"] == classes[int(mean.argmax())]
        assert series["probability"] == pytest.approx(mean.max())
        of_tumor = [label.split(" ")[0] == series["label"].split(" ")[0] for label in classes]
        assert series["tumor_probability"] == pytest.approx(mean[of_tumor].sum())
        assert series["top5"][4]["probability"] == pytest.approx(sorted(mean)[-5])
        assert series["distance"] == pytest.approx(answered["distance"].median())


def test_the_row_of_a_series_is_the_mean_of_its_slices(settings: Settings, trained: Path, mixed: Path) -> None:
    scored = api.score(settings, mixed)
    check_series(scored, read_metadata(trained).classes)
    assert len(scored.series) == 3
    sagittal = by_series(scored, "dicom/sag")
    assert (sagittal["status"], sagittal["n_rejected"]) == ("rejected", 3)
    assert sagittal["reason"] == "a series of sagittal slices: axial ones are taken"
    stored = recorded(settings, schema.series_prediction).set_index("series")
    expected = scored.series.set_index("series").loc[stored.index]
    assert stored["probability"].tolist() == pytest.approx(expected["probability"].tolist(), nan_ok=True)
    assert (
        stored["run_id"].tolist() == [scored.run_id] * 3 and stored["patient"].tolist() == expected["patient"].tolist()
    )
    in_sql = recorded(settings, schema.prediction).set_index("path").loc[scored.rows["path"]]
    for ours, theirs in zip(in_sql["probabilities"], scored.rows["probabilities"], strict=True):
        assert (ours is None and theirs is None) or list(theirs) == ours


def test_a_series_whose_median_distance_is_above_the_guard_gets_no_answer(
    settings: Settings, trained: Path, mixed: Path
) -> None:
    rows, metadata = api.score(settings, mixed).rows, read_metadata(trained)
    assert metadata.guard
    (volume,) = [part for _, part in rows[rows["distance"].notna()].groupby("series") if "sub-07" in part.iloc[0].path]
    median = float(volume["distance"].median())
    for distance, status in ((median - 1e-3, "abstained"), (median + 1e-3, "scored")):
        write_metadata(trained, replace(metadata, guard=replace(metadata.guard, distance=distance)))
        forget_predictions(settings)
        scored = api.score(settings, mixed)
        found = by_series(scored, "sub-07")
        assert found["status"] == status and found["label"]
        said = str(found["reason"]).startswith("unlike the training images: median distance")
        assert said == (status == "abstained")
        check_series(scored, metadata.classes)


def forget_predictions(settings: Settings) -> None:
    with steps.open_store(settings) as store, store.writing() as connection:
        connection.execute(schema.prediction.delete())


def test_a_stated_risk_asks_for_its_probability_from_the_mean_of_a_series() -> None:
    rule = AnswerRule(distance=5.0, risk=0.05, probability=0.8)
    assert rule.objection(0.81, 4.0, of_series=True) is None
    said = "mean probability 0.790 below 0.800, chosen for a risk of 5 % of single images"
    assert rule.objection(0.79, 4.0, of_series=True) == said
    assert "median distance 6.00" in str(rule.objection(0.79, 6.0, of_series=True))
    assert "not a number" in str(rule.objection(float("nan"), 4.0, of_series=True))


def test_a_second_run_keeps_known_slices_unread_and_its_series_are_complete(
    settings: Settings, trained: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.score(settings, mixed)
    write_nifti(mixed / "sub-08" / "t1.nii", seed=9)
    opened: list[bytes] = []

    def note(content: Any, slices: Any) -> Any:
        opened.append(content.sha256)
        return decode_slices(content, slices)

    monkeypatch.setattr(scorer, "decode_slices", note)
    second = api.score(settings, mixed)
    assert len(opened) == 1, "a volume is opened once, and known ones are not"
    assert second.counts.n_reused == first.rows["label"].notna().sum()
    check_series(second, read_metadata(trained).classes)
    kept = ["series", "n_scored", "n_abstained", "probability", "label", "n_images"]
    merged = first.series[kept].merge(second.series[kept], how="outer", indicator=True)
    assert merged["_merge"].value_counts().to_dict() == {"both": 3, "right_only": 1, "left_only": 0}
    assert len(recorded(settings, schema.series_prediction)) == 7


def test_a_volume_may_lie_in_several_shards(
    settings: Settings, trained: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = api.score(settings, mixed)
    same = ["path", "sha256", "status", "reason", "label", "series", "patient"]
    expected = whole.rows[same]
    api.delete(settings, api.plan_deletion(settings, whole.run_id))
    monkeypatch.setattr(listing, "SHARD_FILES", 4)
    cut = api.score(settings, mixed)
    pd.testing.assert_frame_equal(cut.rows[same], expected)
    check_series(cut, read_metadata(trained).classes)


@pytest.mark.usefixtures("trained")
def test_the_files_of_a_deleted_run_go_with_its_rows(settings: Settings, mixed: Path) -> None:
    scored = api.score(settings, mixed)
    assert (settings.scores / f"{scored.run_id}.series.parquet").is_file()
    deletion = api.plan_deletion(settings, scored.run_id)
    assert deletion.rows["series_prediction"] == 3
    api.delete(settings, deletion)
    assert list(settings.scores.iterdir()) == [] and recorded(settings, schema.series_prediction).empty


@pytest.mark.usefixtures("trained")
def test_a_file_that_changes_after_the_survey_is_rejected_and_scored_by_the_next_run(
    settings: Settings, mixed: Path
) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "score" and not done:
            write_nifti(mixed / "sub-07" / "t1.nii", seed=5)

    rows = api.score(settings, mixed, run=api.StepRunner(progress)).rows
    volume = rows[rows["path"].str.contains("sub-07")]
    assert set(volume["reason"]) == {"it changed while the folder was read"}
    scored = api.score(settings, mixed)
    volume = scored.rows[scored.rows["path"].str.contains("sub-07")]
    assert set(volume["status"]) <= {"scored", "abstained"}
    assert by_series(scored, "sub-07")["n_images"] == len(volume)


def test_an_interrupted_run_goes_on_without_another_survey(
    settings: Settings, trained: Path, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SHARD_FILES", 4)
    surveyed: list[str] = []

    def interrupt(stage: str, done: int, total: int) -> None:
        surveyed.append(stage)
        if stage == "score" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.score(settings, mixed, run=api.StepRunner(interrupt))
    assert "survey" in surveyed
    stages: list[str] = []
    scored = api.score(settings, mixed, run=api.StepRunner(lambda stage, done, total: stages.append(stage)))
    assert set(stages) == {"score"} and len(api.query(settings, "scored-runs")) == 1
    check_series(scored, read_metadata(trained).classes)


@pytest.mark.usefixtures("trained")
def test_without_the_optional_packages_such_files_are_rejected_with_the_reason_that_names_the_extra(
    settings: Settings, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mri_model.data.medical import look

    monkeypatch.setattr(look, "is_installed", lambda kind: False)
    scored = api.score(settings, mixed)
    reasons = scored.rows.set_index("path").filter(like="mixed/sub-07", axis=0)["reason"].tolist()
    assert reasons == ["a NIfTI file: to read it, pip install '.[dicom]'"]
    assert scored.series.empty and not list(settings.scores.glob("*.series.parquet"))
    assert scored.counts.n_scored + scored.counts.n_abstained == 3


def test_the_slices_are_those_of_the_model(settings: Settings, trained: Path, mixed: Path) -> None:
    metadata = read_metadata(trained)
    write_metadata(trained, replace(metadata, slices=SliceChoice("sagittal", 0.2, 2)))
    rows = api.score(settings, mixed).rows
    assert len(rows[rows["path"].str.contains(r"t1.nii#x=\d+$")]) == 2
    axial = rows.loc[rows["path"].str.contains("dicom/ax"), "reason"]
    assert axial.str.endswith("axial slices: sagittal ones are taken").all()


@pytest.mark.usefixtures("trained")
def test_a_series_identifier_of_two_patients_gets_no_answer(settings: Settings, tmp_path: Path) -> None:
    for patient in ("A", "B"):
        write_dicom(tmp_path / "in" / patient, patient=patient, series="1.2.3")
    (series,) = api.score(settings, tmp_path / "in").series.to_dict("records")
    assert series["status"] == "rejected" and pd.isna(series["patient"])
    assert series["reason"] == "images of 2 patients have the identifier of this series"


@pytest.mark.usefixtures("trained")
def test_the_command_prints_one_line_for_each_series_and_lists_them_in_json(settings: Settings, mixed: Path) -> None:
    from mri_model.cli.main import app

    plain, shown = (CliRunner().invoke(app, ["score", str(mixed), *more]) for more in ([], ["--series"]))
    assert plain.exit_code == shown.exit_code == 0 and "series  3 series: " in plain.stdout
    lines = shown.stdout.splitlines()
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["patient", "series", "slices", "status", "label", "probability"]
    assert max(map(len, table)) <= 100 and sum("sub-07" in line for line in table) == 1
    answer = json.loads(CliRunner().invoke(app, ["score", str(mixed), "--json"]).stdout)
    assert [series["n_images"] for series in answer["series"]] == [12, 3, 8]
    assert len(answer["series"][0]["top5"]) == 5 and answer["series"][1]["label"] is None


def test_plain_images_are_listed_without_being_opened(own_phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mri_model.data.medical import survey

    (own_phantom / "notes.txt").write_text("no image")
    opened: list[bytes] = []
    monkeypatch.setattr(survey, "read_start", lambda file: opened.append(file) or b"")
    rows = [row for shard in shards(own_phantom) for row in shard]
    assert [os.fsdecode(file) for file in opened] == [f"{own_phantom.resolve()}/notes.txt"]
    assert {row[3:] for row in rows} == {(None,) * 6}


def test_the_digest_of_a_listing_is_that_of_the_files(mixed: Path, tmp_path: Path) -> None:
    from mri_model.data.medical.survey import survey
    from mri_model.data.pseudonyms import Pseudonyms

    _, candidates = listing.scan_folder(mixed)
    with_slices = write_listing(mixed, tmp_path / "a.parquet", survey(candidates, Pseudonyms()))
    assert with_slices.digest == write_listing(mixed, tmp_path / "b.parquet").digest == state_of_folder(mixed).digest
    assert with_slices.n_files > state_of_folder(mixed).n_files


@pytest.mark.usefixtures("trained")
def test_a_file_that_has_the_name_of_a_slice_keeps_a_row_of_its_own(settings: Settings, mixed: Path) -> None:
    shutil.copy(mixed / "images" / "0.jpeg", mixed / "sub-07" / "t1.nii#z=6")
    rows = api.score(settings, mixed).rows
    assert rows["path"].is_unique
    own = rows[rows["path"].str.endswith("sub-07/t1.nii\\x23z=6")]
    assert len(own) == 1 and own["series"].isna().all()


def test_slices_of_one_file_are_read_together_and_others_in_small_groups() -> None:
    files = [listing.ListedFile(f"/{name}", name[:1].encode(), None) for name in ("a", "b", "c1", "c2", "c3", "d", "e")]
    found = [[row.path for row in task] for task in scorer.reading_tasks(files, 2)]
    assert found == [["/a", "/b"], ["/c1", "/c2", "/c3"], ["/d", "/e"]]
    many = [listing.ListedFile(f"/v#z={z}", b"v", None, f"z={z}") for z in range(70)]
    assert [len(task) for task in scorer.reading_tasks(many, 8)] == [32, 32, 6]
    assert Slice("z=3", None) == many[3].picture


@pytest.mark.usefixtures("trained")
def test_the_questions_and_the_texts_show_the_series(settings: Settings, mixed: Path) -> None:
    from mri_model.cli.output import records
    from mri_model.report.text import describe_scoring, describe_series

    scored = api.score(settings, mixed)
    shown = api.query(settings, "series")
    assert sorted(shown["series"]) == sorted(scored.series["series"])
    assert shown["first_image"].str.startswith(str(mixed.resolve())).all()
    text = describe_scoring(scored)
    assert (
        f"{len(scored.rows)} files and slices: " in text
        and "series  3 series: " in text
        and " slices left out; " in text
    )
    lines = describe_series(scored).splitlines()
    assert len(lines) >= 4 and max(map(len, lines)) <= 100
    assert all(series[:6] in "\n".join(lines) for series in scored.series["series"])
    assert json.loads(json.dumps(records(scored.series), default=str))[0]["series"] == scored.series["series"][0]


def test_with_hashed_paths_files_that_come_during_the_listing_have_names_of_their_own(tmp_path: Path) -> None:
    from mri_model.data.hidden_paths import HiddenPaths, read_table
    from mri_model.data.pseudonyms import Pseudonyms

    data, private = tmp_path / "data", tmp_path / "private"
    data.mkdir()
    (data / "first.png").write_bytes(b"1")
    key = Pseudonyms(private)
    names = Names.of(data, {}, Reading(key, None, HiddenPaths(private, key)))
    shown = [names.path(name) for name in ("first.png", "second.png", "third.png")]
    assert len(set(shown)) == 3
    assert not any(word in each for each in shown for word in ("data", "first", "second", "third"))
    assert {"first.png", "second.png", "third.png"} <= set(read_table(private).values())
