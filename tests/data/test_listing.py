"""Every file below a folder is listed once, under a path of its own."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_model.data import listing
from mri_model.data.listing import is_utf8, list_files, refusal, shown_names, unread_folders, walk
from mri_model.errors import MriError

file_name = st.text("a\\xé9", min_size=1, max_size=6).map(str.encode) | st.lists(
    st.sampled_from([b"\\", b"x", b"e", b"9", b"\xe9", b"\\xe9"]), min_size=1, max_size=6
).map(b"".join)


@given(names=st.sets(file_name, min_size=1, max_size=8))
def test_every_name_of_any_bytes_is_shown_under_a_path_of_its_own(names: set[bytes]) -> None:
    shown = list(shown_names(sorted(names)))
    assert len(set(shown)) == len(names)
    assert {name.encode() for name in shown} >= {name for name in names if is_utf8(name)}


@given(paths=st.sets(st.lists(st.sampled_from(["a", "b", "a.x", "a-", "é"]), min_size=1, max_size=3).map("/".join)))
def test_files_are_listed_in_the_order_of_their_whole_paths(paths: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).parent.joinpath(f"{Path(path).name}.png").touch()
        assert [each.path for each in walk(Path(folder))] == sorted(f"{path}.png" for path in paths)


def test_a_name_that_looks_escaped_is_not_the_escaped_name(tmp_path: Path) -> None:
    for name in (b"photo\xe9.png", b"photo\\xe9.png"):
        (tmp_path / os.fsdecode(name)).touch()
    assert [(each.path, refusal(each)) for each in list_files(tmp_path)] == [
        (r"photo\\xe9.png", "file name is not UTF-8"),
        (r"photo\xe9.png", None),
    ]


@pytest.mark.parametrize(
    "folder",
    [
        "#recycle/Glioma T1",
        "@Recycle",
        "@eaDir",
        "System Volume Information",
        "lost+found",
        "$RECYCLE.BIN/S-1-5",
        ".Trash-1000",
        "__MACOSX",
        "LOST+FOUND",
    ],
)
def test_files_in_recycle_bins_and_system_folders_are_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "scan.png").touch()
    assert [refusal(each) for each in list_files(tmp_path)] == ["hidden or system file"]


def test_a_system_folder_that_cannot_be_listed_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("glioma", "lost+found"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").touch()
    scandir = os.scandir

    def forbid(name: str) -> None:
        def refuse(folder: bytes) -> object:
            if os.fsdecode(folder).endswith(name):
                raise PermissionError(13, "Permission denied", folder)
            return scandir(folder)

        monkeypatch.setattr(listing.os, "scandir", refuse)

    forbid("lost+found")
    assert [(each.path, refusal(each)) for each in list_files(tmp_path)] == [
        ("glioma/a.png", None),
        ("lost+found", "hidden or system file"),
    ]
    forbid("glioma")
    with pytest.raises(MriError, match=r"cannot list .*glioma: Permission denied"):
        list_files(tmp_path)


def test_empty_folders_and_links_to_folders_are_not_read(tmp_path: Path) -> None:
    for folder in ("full", "empty", "marked", "outer/inner"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "full" / "a.png").touch()
    (tmp_path / "marked" / ".gitkeep").touch()
    (tmp_path / "link").symlink_to(tmp_path / "full")
    (tmp_path / "Glioma T1").symlink_to(tmp_path / "nowhere")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert unread_folders(tmp_path) == ["Glioma T1", "empty", "link", "marked", "outer/inner"]
