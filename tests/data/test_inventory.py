import os
from pathlib import Path

import pytest

from mri_model.data.inventory import take_inventory
from mri_model.errors import MriError


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
    assert (one.thumbnails == many.thumbnails).all()


def test_bad_files_become_rejected_rows_and_the_rest_goes_on(own_phantom: Path) -> None:
    folder = own_phantom / "Meningioma T2"
    whole = next(folder.glob("*.jp*g")).read_bytes()
    (folder / "zero.jpg").touch()
    (folder / "noise.jpeg").write_bytes(b"no image")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("hello")
    (folder / "noext").write_bytes(whole)
    (own_phantom / "stray.jpg").write_bytes(whole)
    (folder / "link.jpg").symlink_to(next(folder.glob("*.jp*g")))
    (own_phantom / "loop").symlink_to(own_phantom)
    (own_phantom / os.fsdecode(b"\xff.jpg")).write_bytes(whole)
    assert rejected(own_phantom) == {
        "Meningioma T2/zero.jpg": "empty file",
        "Meningioma T2/noise.jpeg": "not an image, or its header is corrupt",
        "Meningioma T2/cut.jpg": "truncated: the end of the image is missing",
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
    assert reasons == {"folder 'Holiday' is no class of profile phantom"}


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
    with pytest.raises(MriError, match=r"no folder|no files|no readable image") as caught:
        take_inventory(root)
    assert caught.value.hint


def test_an_unknown_profile_lists_the_known_ones(phantom: Path) -> None:
    with pytest.raises(MriError) as caught:
        take_inventory(phantom, "nonsense")
    assert "brain-tumor-44c" in caught.value.hint


def test_images_without_a_class_folder_are_one_clear_error(phantom: Path) -> None:
    with pytest.raises(MriError, match=r"no image below .* lies in a class folder"):
        take_inventory(phantom / "Meningioma T2")
