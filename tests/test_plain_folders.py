"""The whole line on plain class folders below ``train/`` and ``test/``, with a profile learnt from them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from mri_model import api, steps
from mri_model.data.inventory import take_inventory
from mri_model.data.profile import load_profile, profile_toml
from mri_model.errors import RefusedError
from mri_model.settings import Settings
from tests.conftest import QUICK

CLASSES = {"Meningioma T1": "meningioma", "Granuloma T2": "no tumor", "_NORMAL T1": "glioma's kin"}


@pytest.fixture
def plain(phantom: Path, tmp_path: Path) -> Path:
    """Three classes without a contrast, three images of each below ``train/`` and one below ``test/``."""
    root = tmp_path / "plain"
    for source, name in CLASSES.items():
        for index, image in enumerate(sorted((phantom / source).iterdir())):
            folder = root / ("test" if index == 3 else "train") / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, folder)
    return root


@pytest.fixture
def saved_profile(plain: Path, tmp_path: Path) -> str:
    file = tmp_path / "plain.toml"
    file.write_text(profile_toml(take_inventory(plain).profile), encoding="utf-8")
    return str(file)


def test_the_whole_line_on_plain_folders_with_a_learnt_and_saved_profile(
    settings: Settings, plain: Path, saved_profile: str
) -> None:
    manifest = api.ingest(settings, plain, saved_profile)
    assert manifest.classes == tuple(sorted(CLASSES.values()))
    assert manifest.profile == "learnt"
    assert set(manifest.frame["status"]) == {"ok"}
    assert manifest.frame["contrast"].isna().all()
    assert set(manifest.frame["split_random"]) == {"train", "val", "test"}

    api.train(settings, replace(QUICK, epochs=1))
    evaluation = api.evaluate(settings)
    assert evaluation.classes["label"].tolist() == list(manifest.classes)
    assert evaluation.contrasts.empty

    scored = api.score(settings, plain)
    assert scored.counts.n_scored + scored.counts.n_abstained == 12
    rows = pq.read_table(scored.parquet).to_pandas()
    assert set(rows["label"]) <= set(CLASSES.values())
    assert rows["contrast"].isna().all()

    with steps.open_store(settings) as store:
        tables = {number: store.query(f"report-table-{number}") for number in range(1, 7)}
    assert {number for number, table in tables.items() if table.empty} == {1, 6}
    assert set(tables[5]["label"]) == set(CLASSES.values())
    assert contrasts_in_database(settings) == {"dataset_class": [None] * 3, "prediction": [None] * 12}


def contrasts_in_database(settings: Settings) -> dict[str, list[str | None]]:
    engine = create_engine(settings.results_url)
    with engine.connect() as connection:
        found = {
            table: list(connection.execute(text(f"SELECT contrast FROM {table}")).scalars())
            for table in ("dataset_class", "prediction")
        }
    engine.dispose()
    return found


def test_a_learnt_profile_holds_the_folder_to_what_it_was(settings: Settings, plain: Path, saved_profile: str) -> None:
    learnt = load_profile(saved_profile)
    assert learnt.classes == dict.fromkeys(sorted(CLASSES.values()), 4)
    assert learnt.contrasts == ()
    shutil.rmtree(plain / "train" / "meningioma")
    with pytest.raises(RefusedError, match=r"at least the stated number of images \(broken by: meningioma\)"):
        api.ingest(settings, plain, saved_profile)


@pytest.mark.parametrize("left", ["nothing", "broken"])
def test_a_class_that_lost_all_its_images_is_named_even_without_a_profile(
    settings: Settings, plain: Path, left: str
) -> None:
    (plain / "test" / "meningioma").rename(plain.parent / "aside")
    for image in (plain / "train" / "meningioma").iterdir():
        image.unlink() if left == "nothing" else image.write_bytes(b"")
    with pytest.raises(RefusedError, match=r"every class of the profile has an image \(broken by: meningioma\)"):
        api.ingest(settings, plain)
