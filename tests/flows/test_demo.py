"""What ``make demo`` draws before it runs the stages."""

from pathlib import Path

import pytest

from flows.demo import draw_samples, parse
from mri_model.options import SampleFormat
from mri_model.settings import Settings


def test_a_folder_or_a_format_is_given() -> None:
    assert (parse([]).data, parse([]).format) == (None, "images")
    assert parse(["my images"]).data == Path("my images")
    assert parse(["--format", "nifti"]).format == "nifti"


@pytest.mark.parametrize("wrong", [["--format", "png"], ["--format", "dicom", "my images"]])
def test_wrong_arguments_end_with_the_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(wrong)
    assert end.value.code == 2
    assert "make demo" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("sample_format", "broken"), [("dicom", "broken.dcm"), ("nifti", "broken.nii.gz")])
def test_the_samples_have_the_format_and_one_broken_file(
    sample_format: SampleFormat, broken: str, settings: Settings
) -> None:
    data, incoming = draw_samples(settings, sample_format)
    assert (data.name, incoming.name) == (f"phantom-{sample_format}", f"incoming-{sample_format}")
    assert len(list(data.iterdir())) == 14
    assert len(list(incoming.glob("*/*-001"))) == 2  # both contrasts of the one patient with the first tumor type
    assert len({patient.name for patient in incoming.glob("*/*")}) == 7
    assert [path.name for path in incoming.iterdir() if path.is_file()] == [broken]
    before = {path: path.stat().st_mtime_ns for path in settings.root.rglob("*")}
    draw_samples(settings, sample_format)
    assert {path: path.stat().st_mtime_ns for path in settings.root.rglob("*")} == before
