import os
import shutil
from pathlib import Path

import pytest

from mri_model.data import cache
from mri_model.data.class_table import class_table
from mri_model.data.decode import read_image
from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest, find_manifest, read_near_duplicates
from mri_model.data.manifest_writer import mark_ingested, write_manifest
from mri_model.data.pixel_store import pack_pixels
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError


def test_same_files_and_seed_give_the_same_bytes_wherever_they_lie(
    phantom: Path, own_phantom: Path, tmp_path: Path
) -> None:
    first = write_manifest(take_inventory(phantom, threads=1), tmp_path / "a")
    second = write_manifest(take_inventory(own_phantom, threads=4), tmp_path / "b")
    assert first.digest == second.digest
    assert (first.folder / "manifest.parquet").read_bytes() == (second.folder / "manifest.parquet").read_bytes()


def test_another_seed_or_another_byte_is_another_manifest(own_phantom: Path, tmp_path: Path) -> None:
    digests = {write_manifest(take_inventory(own_phantom), tmp_path, seed).digest for seed in (0, 1)}
    shutil.copy(next(own_phantom.glob("*/*.jpeg")), own_phantom / "Meningioma T2" / "new.jpeg")
    digests.add(write_manifest(take_inventory(own_phantom), tmp_path).digest)
    assert len(digests) == 3


def ingested(data: Path, manifests: Path, seed: int) -> Manifest:
    inventory = take_inventory(data)
    manifest = write_manifest(inventory, manifests, seed)
    mark_ingested(manifest, inventory)
    return manifest


def test_a_manifest_is_found_as_latest_by_its_digest_and_by_its_path(phantom: Path, tmp_path: Path) -> None:
    ingested(phantom, tmp_path, seed=1)
    last = ingested(phantom, tmp_path, seed=2)
    for name in ("latest", last.digest, last.digest[:8], str(last.folder), str(last.folder / "manifest.parquet")):
        assert find_manifest(tmp_path, name).digest == last.digest
    with pytest.raises(MriError, match="0 manifests match"):
        find_manifest(tmp_path, "nonsense")


def test_near_duplicates_are_read_back_beside_rejected_files(own_phantom: Path, tmp_path: Path) -> None:
    folder = own_phantom / "Meningioma T2"
    original = sorted(folder.iterdir())[0]
    shutil.copy(original, folder / f"z copy{original.suffix}")
    (folder / "broken.jpg").write_bytes(b"no image")
    manifest = write_manifest(take_inventory(own_phantom), tmp_path)
    pairs = read_near_duplicates(manifest)
    paths = manifest.frame["path"].to_numpy()
    names = {original.name, f"z copy{original.suffix}"}
    assert names in [{Path(paths[a]).name, Path(paths[b]).name} for a, b in zip(pairs.first, pairs.second, strict=True)]


def test_class_table_counts_every_split(phantom: Path, tmp_path: Path) -> None:
    table = class_table(write_manifest(take_inventory(phantom), tmp_path))
    assert table["label"].tolist() == sorted(table["label"])
    assert (table[["n_train", "n_val", "n_test"]].sum(axis=1) == table["n_ok"]).all()


def test_the_pixel_store_holds_what_decoding_and_preprocessing_give(phantom: Path, tmp_path: Path) -> None:
    manifest = write_manifest(take_inventory(phantom), tmp_path / "m")
    preprocessing = Preprocessing(48)
    store = pack_pixels(manifest, preprocessing, tmp_path / "p")
    positions = manifest.frame.index.to_numpy()[::7]
    for position, packed in zip(positions, store.batch(positions).numpy(), strict=True):
        pixels = read_image(phantom / manifest.frame.loc[position, "path"]).pixels
        assert pixels is not None
        assert (packed == preprocessing.shrink(pixels)).all()


def test_a_file_that_changed_since_ingestion_is_named(own_phantom: Path, tmp_path: Path) -> None:
    manifest = write_manifest(take_inventory(own_phantom), tmp_path / "m")
    victim = own_phantom / manifest.frame.loc[5, "path"]
    victim.write_bytes((own_phantom / manifest.frame.loc[9, "path"]).read_bytes())
    with pytest.raises(MriError, match="has changed since it was ingested"):
        pack_pixels(manifest, Preprocessing(48), tmp_path / "p")
    assert not list((tmp_path / "p").iterdir())
    victim.unlink()
    with pytest.raises(MriError, match="No such file"):
        pack_pixels(manifest, Preprocessing(48), tmp_path / "p")


@pytest.mark.parametrize("name", ["manifest.parquet", "source.json"])
def test_a_damaged_manifest_is_named_and_blocks_no_other(phantom: Path, tmp_path: Path, name: str) -> None:
    damaged = ingested(phantom, tmp_path, seed=1)
    good = ingested(phantom, tmp_path, seed=2)
    (damaged.folder / name).write_bytes(b"{")
    os.utime(damaged.folder / "source.json", (0, 0))
    with pytest.raises(MriError, match="is damaged"):
        find_manifest(tmp_path, damaged.digest)
    assert find_manifest(tmp_path).digest == good.digest


def test_a_pixel_store_of_another_decoding_version_is_not_used(
    phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_manifest(take_inventory(phantom), tmp_path / "m")
    pack_pixels(manifest, Preprocessing(48), tmp_path / "p")
    pack_pixels(manifest, Preprocessing(48), tmp_path / "p")
    assert len(list((tmp_path / "p").iterdir())) == 1
    monkeypatch.setattr(cache, "DECODE_VERSION", cache.DECODE_VERSION + 1)
    pack_pixels(manifest, Preprocessing(48), tmp_path / "p")
    assert len(list((tmp_path / "p").iterdir())) == 2


def test_a_damaged_pixel_store_is_made_again(phantom: Path, tmp_path: Path) -> None:
    manifest = write_manifest(take_inventory(phantom), tmp_path / "m")
    whole = pack_pixels(manifest, Preprocessing(48), tmp_path / "p").batch(manifest.frame.index.to_numpy())
    next((tmp_path / "p").glob("*/grey.npy")).write_bytes(b"no array")
    again = pack_pixels(manifest, Preprocessing(48), tmp_path / "p").batch(manifest.frame.index.to_numpy())
    assert (whole == again).all()
