"""The report as a whole: order, determinism, quality.json."""

import importlib
import json
import pkgutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_type_hints

import pytest
from threadpoolctl import threadpool_limits

from mri_model import quality
from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.errors import MriError
from mri_model.quality import report as module
from mri_model.quality.check import Check
from mri_model.quality.report import Checks, read_quality_report, write_quality_report
from mri_model.quality.text import describe_quality, quality_markdown, quality_table
from tests.quality.samples import DEGENERATE, pairs, quality_report, sound, texts


def test_every_check_of_the_package_is_run() -> None:
    for found in pkgutil.iter_modules(quality.__path__):
        importlib.import_module(f"mri_model.quality.{found.name}")
    assert set(get_type_hints(Checks).values()) == set(Check.__subclasses__())


def test_the_report_is_the_same_to_the_byte_with_any_number_of_threads() -> None:
    frame, thumbnails = sound()
    reports = set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            reports.add(json.dumps(asdict(quality_report(frame, thumbnails, pairs((0, 4, 0.97))))))
    assert len(reports) == 1


def test_a_sound_data_set_has_no_serious_issue() -> None:
    report = quality_report(*sound(600), pairs())
    assert not texts(report, "serious")
    assert [issue.level for issue in report.issues] == ["notice", "good", "good"]


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_data_set_gets_its_report(name: str, tmp_path: Path) -> None:
    report = quality_report(*DEGENERATE[name])
    (tmp_path / "quality.json").write_text(json.dumps(asdict(report), allow_nan=False), encoding="utf-8")
    assert read_quality_report(tmp_path) == report
    assert texts(report, "serious")
    assert len(describe_quality(report).splitlines()) <= 12
    assert quality_table(report).columns.tolist() == ["question", "random", "grouped"]
    assert "nan" not in quality_markdown(report).lower()


@pytest.fixture
def manifest(phantom: Path, tmp_path: Path) -> Manifest:
    return write_manifest(take_inventory(phantom), tmp_path)


def test_the_phantom_has_no_rejected_file_and_no_group_in_two_grouped_splits(manifest: Manifest, phantom: Path) -> None:
    report = write_quality_report(manifest, take_inventory(phantom).fingerprints)
    assert (report.files.found, report.files.accepted, report.files.rejected) == (176, 176, 0)
    assert len(report.classes.sizes) == 44
    assert report.leakage.protocols["grouped"].group_in_train.n == 0


def test_a_written_report_is_read_and_not_measured_again(
    manifest: Manifest, phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprints = take_inventory(phantom).fingerprints
    report = write_quality_report(manifest, fingerprints)
    monkeypatch.setattr(module, "quality_report", lambda *_: pytest.fail("it was measured again"))
    assert write_quality_report(manifest, fingerprints) == report == read_quality_report(manifest.folder)


@pytest.mark.parametrize("damage", ["missing", "cut", "another version", "another shape", "not text", "a list"])
def test_a_report_that_cannot_be_used_is_refused_and_written_anew(
    damage: str, manifest: Manifest, phantom: Path
) -> None:
    fingerprints = take_inventory(phantom).fingerprints
    report, file = write_quality_report(manifest, fingerprints), manifest.folder / "quality.json"
    before = file.read_bytes()
    damaged = {
        "cut": before[: len(before) // 2],
        "another version": json.dumps(asdict(replace(report, version=1))).encode(),
        "another shape": json.dumps(asdict(report) | {"leakage": {}}).encode(),
        "not text": b"\xff\xfe\x00",
        "a list": b"[]",
    }
    file.unlink() if damage == "missing" else file.write_bytes(damaged[damage])
    with pytest.raises(MriError, match="missing, damaged or of another version") as error:
        read_quality_report(manifest.folder)
    assert error.value.hint == "run: mri ingest DATA"
    assert write_quality_report(manifest, fingerprints) == report
    assert file.read_bytes() == before
