"""Patients whom the files name, from the manifest to the interval and the page."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mri_model import api, steps
from mri_model.data.fingerprints import read_fingerprints
from mri_model.data.manifest import Manifest, read_manifest
from mri_model.quality.report import write_quality_report
from mri_model.report.text import describe_manifest, manifest_facts
from mri_model.settings import Settings
from tests.conftest import QUICK


def with_patients(manifest: Manifest) -> Manifest:
    """The manifest as if its files named their patients, four in each grouped split; its quality report is new."""
    file = manifest.folder / "manifest.parquet"
    table = pq.read_table(file)
    patients = [f"{split} {row % 4}" for row, split in enumerate(manifest.frame["split_grouped"])]
    columns = {"patient": patients, "series": [f"s{row}" for row in range(len(patients))]}
    table = table.drop_columns([name for name in columns if name in table.column_names])
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    pq.write_table(table, file)
    (manifest.folder / "quality.json").unlink()
    changed = read_manifest(manifest.folder)
    write_quality_report(changed, read_fingerprints(changed.folder, len(changed.frame)))
    return changed


def test_ingestion_says_patient_level_beside_the_grouped_split(settings: Settings, phantom: Path) -> None:
    manifest = api.ingest(settings, phantom)
    assert "patient-level" not in describe_manifest(manifest, Path("page.html"))
    changed = with_patients(manifest)
    told = describe_manifest(changed, Path("page.html")).splitlines()
    assert manifest_facts(changed)["is_patient_level"] and "of 12 patients" in told[0]
    assert [line.endswith(", patient-level") for line in told if "train/val/test" in line] == [False, True]


@pytest.mark.slow
def test_evaluation_page_and_promotion_use_patients_and_the_database_does_not_hold_them(
    settings: Settings, phantom: Path
) -> None:
    manifest = with_patients(api.ingest(settings, phantom))
    recipe = replace(QUICK, epochs=1, protocol="grouped")
    folders = [api.train(settings, replace(recipe, seed=seed)).folders[0] for seed in (0, 1)]
    done = [api.evaluate(settings, folder.name) for folder in folders]
    assert [each.unit for each in done] == ["patient", "patient"]
    assert done[0].classes["n_groups"].max() <= 4
    difference = steps.compare_with_champion(settings, folders[1], folders[0], manifest)
    assert difference and (difference.unit, difference.n_groups) == ("patient", 4)
    with steps.open_store(settings) as store:
        assert "patient" not in store.evaluated_images(done[0].id)
    page = steps.report_page(settings, folders[0].name).read_text(encoding="utf-8")
    assert "Grouped split, patient-level" in page and "bootstrap intervals over patients." in page
    shutil.rmtree(manifest.folder)
    page = steps.write_report_page(settings, folders[0]).read_text(encoding="utf-8")
    assert "patient-level" not in page and "over patients, if the data names the patient of every image" in page
