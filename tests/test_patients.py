"""Patients whom DICOM files name, from the manifest to the interval and the page."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mri_model import api, steps
from mri_model.data.phantom_dicom import write_dicom_phantom
from mri_model.report.text import describe_manifest, manifest_facts
from mri_model.settings import Settings
from tests.conftest import QUICK
from tests.data.medical.files import dicom, head, nifti, write
from tests.golden.pictures import encode


@pytest.fixture(scope="module")
def examinations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients of each tumor type."""
    root = tmp_path_factory.mktemp("examinations") / "data"
    write_dicom_phantom(root, per_tumor=3)
    return root


@pytest.mark.slow
def test_no_patient_is_in_two_splits_and_ingestion_says_patient_level(
    settings: Settings, phantom: Path, examinations: Path
) -> None:
    assert "patient-level" not in describe_manifest(api.ingest(settings, phantom), Path("page.html"))
    manifest = api.ingest(settings, examinations)
    accepted = manifest.frame[manifest.frame["status"] == "ok"]
    assert accepted["patient"].nunique() == 21
    assert accepted.groupby("patient")["contrast"].nunique().eq(2).all()
    assert accepted.groupby("patient")["split_grouped"].nunique().eq(1).all()
    assert (accepted.groupby("patient")["split_random"].nunique() > 1).any()
    for fold in (1, 2, 3):
        split = manifest.partition("grouped", 3, fold).split_of
        assert split[accepted.index].groupby(accepted["patient"]).nunique().eq(1).all()
    told = describe_manifest(manifest, Path("page.html")).splitlines()
    assert manifest_facts(manifest)["is_patient_level"] and "of 21 patients" in told[0]
    assert [line.endswith(", patient-level") for line in told if "train/val/test" in line] == [False, True]


@pytest.mark.slow
def test_evaluation_page_and_promotion_use_patients_and_the_database_does_not_hold_them(
    settings: Settings, examinations: Path
) -> None:
    manifest = api.ingest(settings, examinations)
    n_tested = manifest.partition("grouped").rows("test")["patient"].nunique()
    recipe = replace(QUICK, epochs=1, protocol="grouped")
    folders = [api.train(settings, replace(recipe, seed=seed)).folders[0] for seed in (0, 1)]
    done = [api.evaluate(settings, folder.name) for folder in folders]
    assert [each.unit for each in done] == ["patient", "patient"]
    assert done[0].classes["n_groups"].max() <= n_tested
    difference = steps.compare_with_champion(settings, folders[1], folders[0], manifest)
    assert difference and (difference.unit, difference.n_groups) == ("patient", n_tested)
    with steps.open_store(settings) as store:
        assert "patient" not in store.evaluated_images(done[0].id)
    page = steps.report_page(settings, folders[0].name).read_text(encoding="utf-8")
    assert "Grouped split, patient-level" in page and "bootstrap intervals over patients." in page
    shutil.rmtree(manifest.folder)
    page = steps.write_report_page(settings, folders[0]).read_text(encoding="utf-8")
    assert "patient-level" not in page and "over patients, if the data names the patient of every image" in page


def pattern(number: int, side: int, part: int) -> np.ndarray:
    """Coarse patches that differ from patient to patient."""
    patches = np.random.default_rng([number, part]).integers(0, 255, (8, 8), np.uint8)
    return np.kron(patches, np.ones((side // 8, side // 8), np.uint8))


def test_patients_of_mixed_formats_are_kept_together(settings: Settings, tmp_path: Path) -> None:
    """One DICOM or NIfTI file among images takes nothing from what the folders say about the images."""
    for number in range(12):
        folder = f"{('Glioma', 'Cyst')[number % 2]}/patient {number}"
        for image in range(3):
            write(tmp_path / "data", f"{folder}/{image}.png", encode(pattern(number, 64, image), "PNG"))
        voxels = np.stack([pattern(number, 48, z) for z in range(12)], axis=2).astype(np.int16)
        write(tmp_path / "data", f"{folder}/volume.nii", nifti(voxels))
    write(tmp_path / "data", "Cyst/patient 1/a.dcm", dicom(head(20), WindowCenter=500, WindowWidth=1000))
    frame = api.ingest(settings, tmp_path / "data", class_level=1).frame
    accepted = frame[frame["status"] == "ok"]
    assert accepted["patient"].notna().all()
    by_folder = accepted.groupby(accepted["path"].str.split("/").str[1])
    assert by_folder["split_grouped"].nunique().eq(1).all()
    assert set(accepted["split_grouped"]) == {"train", "val", "test"}
