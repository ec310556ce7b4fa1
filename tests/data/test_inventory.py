import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mri_model.data import decode, listing, reading
from mri_model.data.cache import ImageFactsCache
from mri_model.data.decode import DAMAGED, read_image
from mri_model.data.inventory import Inventory, take_inventory
from mri_model.errors import MriError


def same_fingerprints(one: Inventory, other: Inventory) -> bool:
    pairs = zip(vars(one.fingerprints).values(), vars(other.fingerprints).values(), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)


def rejected(root: Path, profile: str = "auto") -> dict[str, str]:
    frame = take_inventory(root, profile).frame
    bad = frame[frame["status"] == "rejected"]
    return dict(zip(bad["path"], bad["reason"], strict=True))


def test_every_file_is_one_row_sorted_by_path(phantom: Path) -> None:
    frame = take_inventory(phantom).frame
    on_disk = sorted(file.relative_to(phantom).as_posix() for file in phantom.rglob("*") if file.is_file())
    assert frame["path"].tolist() == on_disk
    assert set(frame["status"]) == {"ok"}
    assert set(frame["channels"]) == {3}
    assert frame["label"].nunique() == 44
    assert set(frame["contrast"]) == {"T1", "T1C+", "T2"}


def test_the_number_of_threads_changes_nothing(phantom: Path) -> None:
    one, many = take_inventory(phantom, threads=1), take_inventory(phantom, threads=8)
    assert one.frame.equals(many.frame)
    assert same_fingerprints(one, many)


def test_bad_files_become_rejected_rows_and_the_rest_is_read(own_phantom: Path) -> None:
    folder = own_phantom / "Meningioma T2"
    whole = next(folder.glob("*.jp*g")).read_bytes()
    (folder / "zero.jpg").touch()
    (folder / "noise.jpeg").write_bytes(b"no image")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("hello")
    (folder / "noext").write_bytes(whole)
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (own_phantom / "__MACOSX" / "Meningioma T2").mkdir(parents=True)
    (own_phantom / "__MACOSX" / "Meningioma T2" / "._a.jpg").write_bytes(whole)
    (folder / "a\nb.jpg").write_bytes(whole[: len(whole) // 2])
    (own_phantom / "stray.jpg").write_bytes(whole)
    (folder / "link.jpg").symlink_to(next(folder.glob("*.jp*g")))
    (own_phantom / "loop").symlink_to(own_phantom)
    (own_phantom / os.fsdecode(b"\xff.jpg")).write_bytes(whole)
    assert rejected(own_phantom) == {
        "Meningioma T2/zero.jpg": "empty file",
        "Meningioma T2/noise.jpeg": "not an image (JPEG, PNG, WebP, BMP or TIFF), or its header is corrupt",
        "Meningioma T2/cut.jpg": f"{DAMAGED} (Premature end of JPEG file)",
        "Meningioma T2/a\nb.jpg": f"{DAMAGED} (Premature end of JPEG file)",
        "Meningioma T2/.hidden.jpg": "hidden or system file",
        "Meningioma T2/.DS_Store": "hidden or system file",
        "Meningioma T2/Thumbs.db": "hidden or system file",
        "__MACOSX/Meningioma T2/._a.jpg": "hidden or system file",
        "Meningioma T2/notes.txt": "unknown extension .txt",
        "Meningioma T2/noext": "no extension",
        "Meningioma T2/link.jpg": "symbolic link",
        "stray.jpg": "not in a class folder",
        "loop": "symbolic link",
        "\\xff.jpg": "file name is not UTF-8",
    }


def test_a_folder_that_is_no_class_of_the_profile_is_named_in_the_reason(own_phantom: Path) -> None:
    (own_phantom / "Meningioma T2").rename(own_phantom / "Holiday")
    reasons = set(rejected(own_phantom, "phantom").values())
    assert reasons == {"folder 'Holiday' is no class of phantom"}


def test_the_nearest_class_folder_above_a_file_is_its_class(own_phantom: Path) -> None:
    (own_phantom / "train").mkdir()
    (own_phantom / "Meningioma T2").rename(own_phantom / "train" / "Meningioma T2")
    assert rejected(own_phantom, "phantom") == {}


def test_plain_class_folders_have_no_contrast(own_phantom: Path) -> None:
    (own_phantom / "Meningioma T2").rename(own_phantom / "glioma")
    frame = take_inventory(own_phantom).frame
    plain = frame[frame["label"] == "glioma"]
    assert len(plain) == 4
    assert plain["contrast"].isna().all()


@pytest.mark.parametrize("what", ["missing", "empty", "file", "imageless"])
def test_a_folder_without_images_is_one_clear_error(tmp_path: Path, what: str) -> None:
    root = tmp_path / "root"
    if what == "file":
        root.touch()
    elif what != "missing":
        (root / "A").mkdir(parents=True)
    if what == "imageless":
        (root / "A" / "x.jpg").touch()
    with pytest.raises(MriError, match=r"no folder|is a file|no files|no readable image") as caught:
        take_inventory(root)
    assert caught.value.hint


def test_an_unknown_profile_lists_the_known_ones(phantom: Path) -> None:
    with pytest.raises(MriError) as caught:
        take_inventory(phantom, "nonsense")
    assert "brain-tumor-44c" in caught.value.hint


def test_images_without_a_class_folder_are_one_clear_error(phantom: Path) -> None:
    with pytest.raises(MriError, match=r"no image below .* lies in a class folder"):
        take_inventory(phantom / "Meningioma T2")


def test_the_order_in_which_a_folder_lists_its_files_changes_nothing(
    phantom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = take_inventory(phantom)
    listed = list(listing.walk(phantom))
    monkeypatch.setattr(listing, "walk", lambda root: reversed(listed))
    backwards = take_inventory(phantom, threads=16)
    assert straight.frame.equals(backwards.frame)
    assert same_fingerprints(straight, backwards)


def test_an_empty_class_folder_is_expected_to_have_one_image(own_phantom: Path) -> None:
    (own_phantom / "Papiloma T3 to come").mkdir()
    assert take_inventory(own_phantom).profile.classes["Papiloma T3 to come"] == 1


def test_a_wrong_extension_is_accepted_because_the_content_decides(own_phantom: Path) -> None:
    file = next(own_phantom.glob("Meningioma T2/*.jp*g"))
    file.rename(file.with_suffix(".png"))
    frame = take_inventory(own_phantom).frame.set_index("path")
    row = frame.loc[f"Meningioma T2/{file.stem}.png"]
    assert (row["status"], row["extension"], row["format"]) == ("ok", ".png", "JPEG")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The contents that were decoded, by SHA-256."""
    seen: list[str] = []
    facts_of = reading.facts_of

    def counted(image: reading.DecodedImage) -> reading.ImageFacts:
        seen.append(image.sha256)
        return facts_of(image)

    monkeypatch.setattr(reading, "facts_of", counted)
    return seen


def test_only_what_is_new_or_changed_is_decoded_again(own_phantom: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = take_inventory(own_phantom, cache=tmp_path / "cache")
    assert len(decoded) == first.frame["sha256"].nunique()
    decoded.clear()
    victim, touched, moved, *_ = sorted(own_phantom.glob("*/*.jp*g"))
    before = victim.stat()
    victim.write_bytes(first_of(own_phantom).read_bytes()[:-1])
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))  # content decides, not the time
    touched.touch()
    moved.rename(moved.with_name("moved.jpg"))
    second = take_inventory(own_phantom, cache=tmp_path / "cache")
    assert len(decoded) == 1
    assert second.frame.loc[second.frame["status"] == "rejected", "path"].tolist() == [
        victim.relative_to(own_phantom).as_posix()
    ]
    fresh = take_inventory(own_phantom)
    assert second.frame.equals(fresh.frame)
    assert same_fingerprints(second, fresh)


def first_of(root: Path) -> Path:
    return sorted(root.glob("*/*.jp*g"))[-1]


def test_a_damaged_or_unwritable_cache_is_no_cache(phantom: Path, tmp_path: Path, decoded: list[str]) -> None:
    cache = tmp_path / "cache"
    reference = take_inventory(phantom, cache=cache).frame
    file = next(cache.glob("*.sqlite"))
    for damage in (b"no database", file.read_bytes()[:5000]):
        for left in cache.iterdir():
            left.unlink()
        file.write_bytes(damage)
        decoded.clear()
        assert take_inventory(phantom, cache=cache).frame.equals(reference)
        assert decoded
    assert take_inventory(phantom, cache=Path("/proc/no/such")).frame.equals(reference)


def test_two_inventories_share_a_cache_at_once(phantom: Path, tmp_path: Path) -> None:
    with ImageFactsCache(tmp_path) as one, ImageFactsCache(tmp_path) as two:
        facts = reading.facts_of(read_image(first_of(phantom)))
        one.put([("a" * 64, facts)])
        two.put([("a" * 64, facts), ("b" * 64, facts)])
        found = one.get(["b" * 64, "c" * 64])["b" * 64]
        assert found.pixel_crc32 == facts.pixel_crc32
        assert (found.thumbnail == facts.thumbnail).all()
        assert two.get(["c" * 64]) == {}


@pytest.mark.parametrize("holds", ["nothing", ".DS_Store", "scan.dcm", "notes.txt", "link"])
def test_a_class_without_an_image_does_not_vanish_from_the_learnt_profile(own_phantom: Path, holds: str) -> None:
    folder = own_phantom / "Pituitary T1"
    if holds == "link":
        folder.symlink_to(own_phantom / "Meningioma T2")
    else:
        folder.mkdir()
        if holds != "nothing":
            (folder / holds).write_bytes(bytes(128) + b"DICM")
    found = take_inventory(own_phantom)
    assert found.profile.classes["Pituitary T1"] == 1
    assert "Pituitary T1" not in set(found.frame["label"].dropna()[found.frame["status"] == "ok"])


def test_dicom_and_gif_are_recognized_by_content_and_say_what_to_do(own_phantom: Path) -> None:
    files = {"a.dcm": b"DICM", "c.jpg": b"DICM", "b.gif": b""}
    for name, mark in files.items():
        start = b"GIF89a" if name == "b.gif" else b""
        (own_phantom / "Meningioma T2" / name).write_bytes(start.ljust(128, b"\0") + mark)
    assert {path.rpartition("/")[2]: reason for path, reason in rejected(own_phantom).items()} == {
        "a.dcm": "a DICOM file without pixels, or cut off before them",
        "b.gif": "a GIF: convert it to PNG",
        "c.jpg": "a DICOM file with the extension of a plain image: rename it to .dcm",
    }


def test_a_damaged_row_of_the_cache_is_ignored(phantom: Path, tmp_path: Path) -> None:
    reference = take_inventory(phantom, cache=tmp_path)
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as database:
        database.execute("UPDATE facts SET thumbnail = x'00' WHERE rowid = 3")
    again = take_inventory(phantom, cache=tmp_path)
    assert same_fingerprints(again, reference)


def test_a_root_whose_own_name_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"\xff")
    (root / "A").mkdir(parents=True)
    with pytest.raises(MriError, match="not UTF-8"):
        take_inventory(root)


def test_a_file_called_dicom_or_nifti_says_what_is_wrong_with_it(own_phantom: Path) -> None:
    folder = own_phantom / "Meningioma T2"
    (folder / "text.dcm").write_bytes(b"not an image")
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "text.nii").write_bytes(b"not a volume")
    with (folder / "large.dcm").open("wb") as large:
        large.truncate(decode.MAX_BYTES + 1)
    assert {path.rpartition("/")[2]: reason for path, reason in rejected(own_phantom).items()} == {
        "text.dcm": "not a DICOM file, or its header is corrupt",
        "empty.dcm": "empty file",
        "text.nii": "not a NIfTI volume, or its header is corrupt",
        "large.dcm": f"too large: {decode.MAX_BYTES + 1:,} bytes",
    }
