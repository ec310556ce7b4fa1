"""Incoming folders, looked at and scored without Prefect, and helpers that join a scoring run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mri_model import api
from mri_model.cli.doctor import check_incoming
from mri_model.errors import MriError, SkippedError
from mri_model.results.incoming_ledger import Arrived, Look
from mri_model.scoring.incoming import look_at
from mri_model.scoring.participation import Participation
from mri_model.settings import Settings


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    return folder


@pytest.fixture
def watching(settings: Settings, incoming: Path) -> Settings:
    """Watches ``incoming``; a folder that two looks find the same has settled."""
    return settings.model_copy(update={"incoming": incoming, "settle_seconds": 0.0})


@pytest.fixture
def trained(watching: Settings, trained_home: Path) -> Settings:
    shutil.copytree(trained_home, watching.root)
    return watching


@pytest.fixture
def images(phantom: Path) -> list[Path]:
    return sorted(phantom.rglob("*.jpeg"))[:6]


def upload(folder: Path, *files: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy2(file, folder / f"{file.parent.name}-{file.name}")


def scorer(settings: Settings, asked: list[str]) -> Callable[[Arrived], str]:
    """Scores at once, as ``mri watch`` does, and keeps the keys."""

    def start(arrived: Arrived) -> str:
        asked.append(arrived.key)
        try:
            api.score(settings, Path(arrived.folder), part=Participation(listing=arrived.listing))
        except MriError as error:
            return str(error)
        return ""

    return start


def look(settings: Settings, asked: list[str]) -> Look:
    return api.watch(settings, scorer(settings, asked))


def test_direct_subfolders_with_files_are_seen_and_loose_files_and_links_are_named(
    incoming: Path, images: list[Path], tmp_path: Path
) -> None:
    upload(incoming / "b" / "deep" / "er", *images[:2])
    upload(incoming / "a", images[0])
    upload(incoming / ".uploading", images[0])
    upload(tmp_path / "elsewhere", images[0])
    (incoming / "empty").mkdir()
    (incoming / "link").symlink_to(tmp_path / "elsewhere")
    (incoming / "loose.jpeg").write_bytes(b"x")
    (incoming / ".lock").touch()
    Path(os.fsdecode(bytes(incoming) + b"/caf\xe9")).mkdir()
    seen, loose = look_at(incoming)
    assert [(each.folder, each.n_files) for each in seen] == [(f"{incoming}/a", 1), (f"{incoming}/b", 2)]
    assert loose == ["caf\\xe9", "link", "loose.jpeg"]


def test_an_upload_that_keeps_the_times_of_its_files_is_as_young_as_its_arrival(
    incoming: Path, images: list[Path], tmp_path: Path
) -> None:
    upload(incoming / "a", images[0])
    (file,) = (incoming / "a").iterdir()
    os.utime(file, (1, 1))
    (seen,), _ = look_at(incoming)
    assert seen.newest_at.timestamp() == pytest.approx(file.stat().st_ctime, abs=1e-3)


def test_what_arrives_is_scored_once_and_only_new_files_cost_anything(trained: Settings, images: list[Path]) -> None:
    folder, asked = Path(str(trained.incoming)) / "monday", list[str]()
    upload(folder, *images[:3])
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(folder.iterdir())}
    for expected in (0, 1, 1):
        look(trained, asked)
        assert len(asked) == expected
    (run,) = api.query(trained, "scored-runs").to_dict("records")
    assert [run[name] for name in ("folder", "n_scored", "status")] == [str(folder), 3, "finished"]
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(folder.iterdir())} == before

    upload(folder, *images[3:5])
    for _ in range(3):
        look(trained, asked)
    runs = api.query(trained, "scored-runs")
    assert (len(asked), len(set(asked))) == (2, 2)
    assert runs[["n_scored", "n_reused"]].values.tolist() == [[5, 3], [3, 0]]
    (row,) = api.query(trained, "incoming").to_dict("records")
    assert [row[name] for name in ("state", "n_files", "n_scored", "problem")] == ["scored", 5, 5, None]
    assert "1 scored" in check_incoming(trained)


def test_a_folder_that_was_scored_by_hand_is_not_scored_again(trained: Settings, images: list[Path]) -> None:
    folder, asked = Path(str(trained.incoming)) / "by hand", list[str]()
    upload(folder, *images[:2])
    api.score(trained, folder)
    for _ in range(3):
        assert look(trained, asked).states == {"scored": 1}
    assert not asked


def test_a_folder_that_changes_between_the_look_and_the_run_is_left_for_the_next_look(
    trained: Settings, images: list[Path]
) -> None:
    folder = Path(str(trained.incoming)) / "growing"
    upload(folder, images[0])
    api.watch(trained, lambda arrived: "")

    def start(arrived: Arrived) -> str:
        upload(folder, images[1])
        with pytest.raises(SkippedError, match="has changed") as caught:
            api.score(trained, folder, part=Participation(listing=arrived.listing))
        return str(caught.value)

    api.watch(trained, start)
    assert api.query(trained, "scored-runs").empty
    asked: list[str] = []
    assert look(trained, asked).states == {"waiting": 1}
    look(trained, asked)
    assert api.query(trained, "scored-runs")["n_scored"].tolist() == [2]


def test_a_folder_without_a_readable_image_is_scored_as_rejected_once(trained: Settings) -> None:
    folder, asked = Path(str(trained.incoming)) / "letters", list[str]()
    folder.mkdir()
    (folder / "letter.txt").write_text("no image")
    for _ in range(3):
        look(trained, asked)
    (row,) = api.query(trained, "incoming").to_dict("records")
    assert [len(asked), row["state"], row["n_rejected"]] == [1, "scored", 1]


def test_a_failed_folder_and_loose_files_are_what_doctor_shows(watching: Settings, images: list[Path]) -> None:
    upload(Path(str(watching.incoming)) / "monday", images[0])
    upload(Path(str(watching.incoming)), images[1])
    asked: list[str] = []
    look(watching, asked)  # there is no model
    look(watching, asked)
    with pytest.raises(MriError, match=r"not scored: monday \(nothing .* trained yet\); 1 file or link that") as caught:
        check_incoming(watching)
    assert caught.value.hint == "see: mri query incoming"


def test_without_a_look_doctor_says_so_and_without_a_folder_it_is_content(watching: Settings) -> None:
    with pytest.raises(MriError, match="nobody has looked"):
        check_incoming(watching)
    assert "not set" in check_incoming(watching.model_copy(update={"incoming": None}))


@pytest.mark.parametrize(("change", "words"), [("unset", "is not set"), ("gone", "no folder"), ("home", "is inside")])
def test_an_incoming_folder_that_cannot_be_watched_is_one_clear_error(
    watching: Settings, change: str, words: str
) -> None:
    places = {"unset": None, "gone": watching.root / "nowhere", "home": watching.root.parent}
    if change == "home":
        watching.root.mkdir()
    with pytest.raises(MriError, match=words) as caught:
        api.watch(watching.model_copy(update={"incoming": places[change]}), lambda arrived: "")
    assert caught.value.hint


def test_a_helper_joins_a_run_although_the_folder_has_changed_since(
    trained: Settings, images: list[Path], tmp_path: Path
) -> None:
    folder, joined = tmp_path / "shared", []
    upload(folder, *images[:4])

    def opened(run_id: str, model_folder: Path) -> None:
        upload(folder, images[4])
        part = Participation(run_id=run_id)
        joined.append(api.score(trained, folder, str(model_folder), part=part))

    scored = api.score(trained, folder, part=Participation(opened=opened))
    assert [(each.run_id, each.counts.n_scored) for each in joined] == [(scored.run_id, 4)]
    assert len(scored.rows) == 4
    late = api.score(trained, folder, part=Participation(run_id=scored.run_id))
    assert late.counts == scored.counts, "a helper that begins when all is done has nothing to do"


def test_a_helper_that_does_not_see_the_files_of_the_run_says_what_it_needs(
    trained: Settings, images: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "shared"
    upload(folder, *images[:2])
    other = Settings(home=tmp_path / "other machine", database_url=f"sqlite:///{trained.root / 'results.db'}")

    def opened(run_id: str, model_folder: Path) -> None:
        with pytest.raises(MriError, match="is missing") as caught:
            api.score(other, folder, str(model_folder), part=Participation(run_id=run_id))
        assert "same MRI_HOME" in caught.value.hint

    assert api.score(trained, folder, part=Participation(opened=opened)).counts.n_scored == 2
