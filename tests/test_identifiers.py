"""Nothing that identifies a person leaves a DICOM file: unique strings in all its texts are found nowhere."""

import io
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from mri_model.settings import Settings
from tests.cli.test_main import QUICK, answer, mri
from tests.data.medical.files import dicom, head, write

TEXTS = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT")
PLANTED = "Zq7Plant"
UID_ROOT = "1.2.826.77123987."
BIRTH = "19370229"

SIDES = [0, 14, 20, 24, 26, 24, 20, 14, 0]


def planted(patient: int, position: int, tumor: int) -> bytes:
    """An image with a text of its own in every text element of the standard, also in sequences and private elements."""
    plain = dicom(head(SIDES[position], 900 + 20 * tumor), float(position), WindowCenter=500, WindowWidth=1000)
    dataset = pydicom.dcmread(io.BytesIO(plain))
    fill(dataset, f"{PLANTED}{patient:03d}x{position}x")
    nested = Dataset()
    fill(nested, f"{PLANTED}Nested{patient:03d}x")
    dataset.ReferencedPatientSequence = [nested]
    block = dataset.private_block(0x0009, f"{PLANTED}Creator", create=True)
    block.add_new(0x01, "LO", f"{PLANTED}Private{patient}")
    dataset.PatientID, dataset.PatientBirthDate = f"{PLANTED}Id{patient:03d}", BIRTH
    dataset.IssuerOfPatientID = f"{PLANTED}Issuer"
    dataset.SeriesDescription = f"T1 {PLANTED}Description"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID_ROOT}1.{patient}", f"{UID_ROOT}2.{patient}"
    dataset.SOPInstanceUID = f"{UID_ROOT}3.{patient}.{position}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = f"{PLANTED}AE"
    dataset.preamble = f"{PLANTED}Preamble".encode().ljust(128, b"\0")
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def fill(dataset: Dataset, text: str) -> None:
    for tag, (kind, number, *_) in DicomDictionary.items():
        if kind in TEXTS and tag >> 16 > 0x0002 and tag not in dataset and number.startswith("1"):
            dataset.add_new(tag, kind, f"{text}{tag:08X}"[: 16 if kind in ("AE", "SH") else 60])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of six patients, and files that are rejected, broken or no images."""
    root = tmp_path_factory.mktemp("exported") / "data"
    for patient in range(12):
        tumor = patient % 2
        for position in range(len(SIDES)):
            name = f"{('Glioma', 'Meningioma')[tumor]} T2/{patient}/{position}.dcm"
            write(root, name, planted(patient, position, tumor))
    whole = planted(50, 3, 0)
    write(root, "Glioma T2/cut/a.dcm", whole[: len(whole) - 900])
    write(root, "Glioma T2/cut/b.dcm", whole[:5000])
    write(root, "Glioma T2/cut/c.dcm", whole.replace(b"MONOCHROME2 ", b"Zq7PlantCol "))
    write(root, "Glioma T2/cut/d.jpg", whole)
    return root


def contents(home: Path) -> Iterator[tuple[str, str]]:
    """Everything that was written below a folder, as text: bytes as they are, and tables and arrays unpacked."""
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        name = file.relative_to(home).as_posix()
        yield name, file.read_bytes().decode("latin-1")
        if file.suffix == ".parquet":
            yield name, pd.read_parquet(file).to_csv()
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                yield (
                    name,
                    " ".join(str(arrays[key].tolist()) for key in arrays.files if arrays[key].dtype.kind in "US"),
                )
        elif file.suffix in (".db", ".sqlite"):
            with sqlite3.connect(file) as database:
                yield name, "\n".join(database.iterdump())


@pytest.mark.slow
def test_no_text_of_a_dicom_file_is_written_or_shown_by_any_stage(
    data: Path, settings: Settings, tmp_path: Path
) -> None:
    stages = [
        ["ingest", data],
        ["train", *QUICK],
        ["evaluate"],
        ["report"],
        ["score", data, "--series", "--csv", tmp_path / "scores.csv"],
        ["score", data, "--json"],
        ["query", "predictions", "--csv"],
        ["query", "unscored"],
        ["query", "series"],
        ["export", tmp_path / "export"],
    ]
    shown = {}
    for stage in stages:
        done = mri(*stage)
        assert done.returncode == 0, done.stderr
        shown[" ".join(map(str, stage))] = done.stdout + done.stderr
    manifest = pd.read_parquet(next(settings.manifests.glob("*/manifest.parquet")))
    accepted = manifest[manifest["status"] == "ok"]
    assert accepted["patient"].nunique() == 12  # so that there is something to find
    assert set(manifest["contrast_hint"].dropna()) == {"T1C+"}
    written = [*contents(settings.root), *contents(tmp_path)]
    assert any(name.endswith("manifest.parquet") for name, _ in written)
    secret = re.compile(f"{PLANTED}|{re.escape(UID_ROOT)}|{BIRTH}", re.IGNORECASE)
    assert [name for name, text in [*written, *shown.items()] if secret.search(text)] == []


@pytest.mark.slow
def test_with_hashed_paths_no_name_of_a_file_or_folder_is_written_outside_of_the_table(
    tmp_path: Path, settings: Settings
) -> None:
    root = tmp_path / "Smith-Jones"
    for patient in range(6):
        for position in range(len(SIDES)):
            pixels = head(SIDES[position], 900)
            data = dicom(pixels, float(position), SeriesInstanceUID=generate_uid(), WindowCenter=500, WindowWidth=1000)
            write(root, f"{('Glioma', 'Meningioma')[patient % 2]} T1/Smith-{patient}/Smith{position}.Jones", data)
    write(root, "Glioma T1/Smith-0/.Smith", b"hidden")
    facts = answer(mri("ingest", root, "--hash-paths", "--json"))
    assert facts["n_ok"] > 20
    answer(mri("train", *QUICK, "--json"))
    answer(mri("evaluate", "--json"))
    done = mri("report")
    assert done.returncode == 0, done.stderr
    scored = mri("score", root, "--hash-paths", "--series", "--csv", tmp_path / "scores.csv")
    again = answer(mri("score", root, "--hash-paths", "--json"))
    assert again["n_reused"] == again["n_scored"] + again["n_abstained"] > 20
    listed = mri("query", "predictions", "--csv")
    assert scored.returncode == listed.returncode == 0, scored.stderr + listed.stderr
    private = settings.root / "private"
    assert "Smith" in (private / "paths.csv").read_text()
    assert {(file.stat().st_mode & 0o777) for file in private.glob("[!.]*")} == {0o600}
    found = [name for name, text in contents(settings.root) if re.search("smith|jones", text, re.IGNORECASE)]
    assert found == ["private/paths.csv"]
    shown = [json.dumps(facts), done.stdout, scored.stdout, scored.stderr, json.dumps(again), listed.stdout]
    assert not any("Smith" in text for text in [*shown, (tmp_path / "scores.csv").read_text()])
