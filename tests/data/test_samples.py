"""The phantom in each file format, and the optional extra that two of them need."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from mri_model.data.phantom import write_phantom
from mri_model.data.samples import write_sample
from mri_model.errors import MriError
from mri_model.options import SampleFormat

EXTRA = ("pydicom", "highdicom", "gdcm", "openjpeg", "jpeg_ls", "nibabel")
BASE = (
    "mri_model.api",
    "mri_model.cli.main",
    "mri_model.data.inventory",
    "mri_model.data.phantom_volumes",
    "mri_model.data.pixel_store",
    "mri_model.data.samples",
    "mri_model.scoring.scorer",
    "mri_model.steps",
    "flows.demo",
)


def _digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_images_are_those_of_write_phantom(tmp_path: Path) -> None:
    assert write_sample(tmp_path / "sample", per_class=1, seed=3) == 44
    write_phantom(tmp_path / "phantom", per_class=1, seed=3)
    assert _digests(tmp_path / "sample") == _digests(tmp_path / "phantom")


@pytest.mark.parametrize(("sample_format", "n_files"), [("dicom", 159), ("nifti", 14)])
def test_volumes_are_written(sample_format: SampleFormat, n_files: int, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    progress = lambda *step: steps.append(step)  # noqa: E731
    assert write_sample(tmp_path / "out", sample_format, per_class=1, progress=progress) == n_files
    assert len(_digests(tmp_path / "out")) == n_files
    assert steps == [("draw", done, 14) for done in range(15)]


@pytest.mark.parametrize(("sample_format", "module"), [("dicom", "pydicom"), ("nifti", "nibabel")])
def test_without_the_extra_the_hint_names_it(
    sample_format: SampleFormat, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MriError, match=module) as refusal:
        write_sample(tmp_path / "out", sample_format)
    assert refusal.value.hint == "pip install '.[dicom]'"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_base_library_does_not_import_the_extra() -> None:
    code = f"import sys, {', '.join(BASE)}; print([name for name in {EXTRA} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
