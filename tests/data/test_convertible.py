"""Files that hold a medical image but are not read say what to convert them to."""

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from mri_model.data.convertible import KINDS, convertible_reason
from mri_model.data.decode import content_of, decode
from tests.golden.pictures import encode, grey

NIFTI = (348).to_bytes(4, "little") + bytes(340) + b"n+1\0" + bytes(64)
NIFTI2 = (540).to_bytes(4, "little") + b"n+2\0\r\n\x1a\n" + bytes(600)
EXPLICIT = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + bytes(64)
IMPLICIT = b"\x08\x00\x00\x00\x04\x00\x00\x00\x4c\x01\x00\x00" + bytes(64)
META = b"\x02\x00\x00\x00UL\x04\x00\xae\x00\x00\x00" + bytes(64)


def reason(data: bytes) -> str | None:
    return decode(content_of(data)).reason


FILES = {
    "with preamble": ("DICOM", bytes(128) + b"DICM" + bytes(64)),
    "explicit types": ("DICOM", EXPLICIT),
    "implicit types": ("DICOM", IMPLICIT),
    "file meta first": ("DICOM", META),
    "NIfTI-1": ("NIfTI", NIFTI),
    "NIfTI-2": ("NIfTI", NIFTI2),
    "zipped NIfTI": ("NIfTI", gzip.compress(NIFTI)),
    "NRRD": ("NRRD", b"NRRD0004\ntype: short\n"),
    "MetaImage": ("MetaImage", b"ObjectType = Image\nNDims = 3\n"),
    "MATLAB 5": ("MATLAB", b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90)),
    "MATLAB 7.3": ("MATLAB", b"\x89HDF\r\n\x1a\n" + bytes(90)),
    "GIF": ("GIF", b"GIF89a" + bytes(90)),
}
OTHER_FILES = {
    "text": b"text",
    "zipped text": gzip.compress(b"text"),
    "broken gzip": b"\x1f\x8bbroken",
    "short": b"\x08\x00",
    "zeros": bytes(600),
    "no DICOM element": b"\x08\x00\x05\x10" * 20,
}


@pytest.mark.parametrize(("kind", "data"), FILES.values(), ids=list(FILES))
def test_the_reason_names_the_format_and_what_to_do(kind: str, data: bytes) -> None:
    assert reason(data) == KINDS[kind]


def test_a_dicom_file_whose_preamble_is_a_tiff_header_is_no_tiff() -> None:
    tiff = encode(grey(1), "TIFF")
    assert reason(tiff) is None
    assert reason(tiff[:128] + b"DICM" + tiff[132:]) == KINDS["DICOM"]


@pytest.mark.parametrize("data", OTHER_FILES.values(), ids=list(OTHER_FILES))
def test_other_files_are_just_no_images(data: bytes) -> None:
    assert convertible_reason(data) is None
    assert str(reason(data)).startswith("not an image")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_no_image_is_taken_for_another_format(image_format: str) -> None:
    for seed in range(20):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 24), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, image_format)
        assert reason(buffer.getvalue()) is None
