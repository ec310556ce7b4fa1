"""Ingesting again: unchanged, changed, refused, killed."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from mri_model import api, steps
from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import find_manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.errors import MriError, RefusedError
from mri_model.quality.report import read_quality_report, write_quality_report
from mri_model.settings import Settings
from mri_model.steps import ingestion
from tests.faults.test_kills import run_and_kill


def test_an_unchanged_folder_finds_its_manifest_and_makes_it_the_latest(
    settings: Settings, phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.ingest(settings, phantom)
    api.ingest(settings, phantom, seed=1)
    monkeypatch.setattr(ingestion, "validate", lambda inventory: pytest.fail("it was validated again"))
    again = api.ingest(settings, phantom)
    assert again.digest == first.digest == find_manifest(settings.manifests).digest


def test_a_folder_that_moved_keeps_its_manifest_and_says_where_it_is_now(
    settings: Settings, own_phantom: Path, tmp_path: Path
) -> None:
    first = api.ingest(settings, own_phantom)
    moved = Path(shutil.move(own_phantom, tmp_path / "elsewhere"))
    again = api.ingest(settings, moved)
    assert (again.digest, again.root) == (first.digest, moved.resolve())
    assert find_manifest(settings.manifests).root == moved.resolve()


def test_what_broke_a_rule_is_validated_again_even_after_it_was_quarantined(
    settings: Settings, own_phantom: Path
) -> None:
    (own_phantom / "Papiloma T1" / "sub").mkdir()
    shutil.rmtree(own_phantom / "Meningioma T2")
    (own_phantom / "Meningioma T2").mkdir()
    assert len(api.ingest(settings, own_phantom, on_invalid="quarantine").classes) == 43
    with pytest.raises(RefusedError, match="Meningioma T2"):
        api.ingest(settings, own_phantom)


@pytest.mark.slow
def test_an_ingestion_killed_while_it_reads_resumes_from_what_was_read(
    settings: Settings, phantom: Path, tmp_path: Path
) -> None:
    good = api.ingest(settings, phantom)
    shutil.rmtree(settings.cache)

    def image() -> bool:
        return any(settings.cache.glob("*.sqlite"))

    run_and_kill(["ingest", str(phantom), "--seed", "1"], image)
    assert find_manifest(settings.manifests).digest == good.digest
    finished = api.ingest(settings, phantom, seed=1)
    inventory = take_inventory(phantom)
    undisturbed = write_manifest(inventory, tmp_path / "undisturbed", seed=1)
    write_quality_report(undisturbed, inventory.fingerprints)
    names = ("manifest.parquet", "quality.json", "near_duplicates.parquet", "profile.toml")
    assert [(finished.folder / name).read_bytes() for name in names] == [
        (undisturbed.folder / name).read_bytes() for name in names
    ]


def test_the_quality_report_tells_of_copies_in_two_splits_and_of_contradictions(
    settings: Settings, own_phantom: Path
) -> None:
    for file in sorted(own_phantom.glob("Meningioma T1/*")):
        shutil.copy(file, own_phantom / "Meningioma T2" / f"copy of {file.name}")
    manifest = api.ingest(settings, own_phantom)
    quality = read_quality_report(manifest.folder)
    assert len(quality.conflicts.sets) == 4
    assert quality.duplicates.same_bytes_pairs == 4
    assert manifest.frame.loc[manifest.frame["conflict"].fillna(False), "split_grouped"].isna().all()
    assert quality.leakage.protocols["grouped"].cross_pairs == 0
    pairs = pd.read_parquet(manifest.folder / "near_duplicates.parquet")
    assert (pairs["kind"] == "same bytes").sum() == 4
    page = steps.quality_page(settings, manifest).read_text(encoding="utf-8")
    assert "two classes at once" in page


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
@pytest.mark.parametrize("name", ["quality.json", "near_duplicates.parquet", "manifest.parquet", "source.json"])
def test_a_damaged_file_of_a_manifest_is_written_anew(
    settings: Settings, phantom: Path, name: str, damage: str
) -> None:
    file = api.ingest(settings, phantom).folder / name
    before = file.read_bytes()
    file.unlink() if damage == "missing" else file.write_bytes(before[:50] if damage == "cut" else b"{}")
    again = api.ingest(settings, phantom)
    assert name == "source.json" or (again.folder / name).read_bytes() == before


def test_a_home_inside_the_data_is_refused_because_it_would_be_read_as_data(
    own_phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_HOME", str(own_phantom / "mri-home"))
    with pytest.raises(MriError, match="would be read as data"):
        api.ingest(Settings(), own_phantom)
    assert not (own_phantom / "mri-home").exists()
