"""The drawn data set has the shape of the published one, differs by contrast, and repeats byte for byte."""

import hashlib
import tomllib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

import mri_model.data.profiles
from mri_model.data.drawn_head import SIGNATURES
from mri_model.data.labels import CONTRASTS
from mri_model.data.phantom import write_phantom
from mri_model.errors import MriError

PROFILE = tomllib.loads((Path(mri_model.data.profiles.__file__).parent / "phantom.toml").read_text(encoding="utf-8"))


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def _digests(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(root)}


def _thumbnail(path: Path) -> np.ndarray:
    return cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (64, 64), interpolation=cv2.INTER_AREA)


def _correlation(a: Path, b: Path) -> float:
    return float(np.corrcoef(_thumbnail(a).ravel(), _thumbnail(b).ravel())[0, 1])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small images per class: the fewest with near duplicates."""
    root = tmp_path_factory.mktemp("phantom") / "small"
    assert write_phantom(root, per_class=8, max_side=64) == 44 * 8
    return root


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom") / "full"
    write_phantom(root, per_class=1)
    return root


def test_class_folders(small: Path) -> None:
    expected = {f"{s.tumor} {contrast}" for s in SIGNATURES for contrast in CONTRASTS} | {"_NORMAL T1", "_NORMAL T2"}
    assert {path.name for path in small.iterdir()} == expected == set(PROFILE["classes"])
    assert len(expected) == 44
    assert list(PROFILE["classes"]) == sorted(expected)
    assert set(Counter(path.parent.name for path in _files(small)).values()) == {8}


@pytest.mark.parametrize("size", ["small", "full_size"])
def test_extensions(size: str, request: pytest.FixtureRequest) -> None:
    suffixes = Counter(path.suffix for path in _files(request.getfixturevalue(size)))
    assert set(suffixes) == {".jpeg", ".jpg", ".JPG", ".webp"}
    assert suffixes[".webp"] == 1
    assert suffixes.most_common(1)[0][0] == ".jpeg"


def test_sizes_and_channels_meet_the_profile(full_size: Path) -> None:
    shapes = [cv2.imread(str(path), cv2.IMREAD_COLOR).shape for path in _files(full_size)]
    stored = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ndim for path in _files(full_size)]
    assert all(PROFILE["height"][0] <= height <= PROFILE["height"][1] for height, _, _ in shapes)
    assert all(PROFILE["width"][0] <= width <= PROFILE["width"][1] for _, width, _ in shapes)
    assert 0.25 < np.mean([shape == (630, 630, 3) for shape in shapes]) < 0.75
    assert set(stored) == {2, 3}


def test_same_seed_same_bytes(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    write_phantom(tmp_path / "again", per_class=8, max_side=64)
    assert _digests(tmp_path / "again") == _digests(small)


def test_another_seed_draws_other_images(full_size: Path, tmp_path: Path) -> None:
    write_phantom(tmp_path / "other", per_class=1, seed=1, max_side=64)
    write_phantom(tmp_path / "usual", per_class=1, seed=0, max_side=64)
    assert not set(_digests(tmp_path / "other").values()) & set(_digests(tmp_path / "usual").values())


def test_contrasts_differ(small: Path) -> None:
    """A healthy brain is brighter on T1 than on T2; contrast agent brightens lesions and vessels."""

    def middles(folders: str) -> list[np.ndarray]:
        return [_thumbnail(path)[12:52, 12:52] for path in sorted(small.glob(f"{folders}/*"))]

    healthy = {
        contrast: np.mean([np.median(plane) for plane in middles(f"_NORMAL {contrast}")]) for contrast in ("T1", "T2")
    }
    bright = {
        contrast: np.mean([(plane > 200).mean() for plane in middles(f"[!_]* {contrast}")]) for contrast in CONTRASTS
    }
    assert healthy["T1"] > healthy["T2"] + 15
    assert bright["T1C+"] > 2 * bright["T1"]


def test_near_duplicates_are_named_as_a_series(small: Path) -> None:
    for folder in small.iterdir():
        first, second = sorted(folder.glob("2022-*_00-phantom.jpg")), sorted(folder.glob("2022-*_01-phantom.jpg"))
        assert len(first) == len(second) == 1
        assert _correlation(first[0], second[0]) > 0.95
        others = [path for path in folder.iterdir() if path not in first + second]
        assert max(_correlation(first[0], other) for other in others) < 0.95


def test_one_pair_of_identical_files(small: Path) -> None:
    repeated = [digest for digest, n in Counter(_digests(small).values()).items() if n > 1]
    assert len(repeated) == 1
    assert {Path(path).parent for path, digest in _digests(small).items() if digest == repeated[0]} == {
        Path("Meningioma T1")
    }


def test_few_images_have_no_near_duplicates(full_size: Path) -> None:
    assert not list(full_size.rglob("2022-*"))


def test_a_filled_folder_is_refused(small: Path, tmp_path: Path) -> None:
    before = _digests(small)
    with pytest.raises(MriError, match="not an empty folder") as refusal:
        write_phantom(small)
    assert refusal.value.hint
    assert _digests(small) == before
    (tmp_path / "empty").mkdir()
    assert write_phantom(tmp_path / "empty", per_class=1, max_side=32) == 44


@pytest.mark.parametrize("wrong", [{"per_class": 0}, {"max_side": 31}, {"max_side": 631}])
def test_impossible_sets_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(MriError):
        write_phantom(tmp_path / "never", **wrong)
    assert not (tmp_path / "never").exists()


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    write_phantom(tmp_path / "out", per_class=1, max_side=32, progress=lambda *step: steps.append(step))
    assert steps == [("draw", done, 44) for done in range(45)]
