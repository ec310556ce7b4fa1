"""DICOM files are decoded as highdicom does it, or rejected with a reason; none crashes."""

import io
import warnings
import zlib
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from mri_model.data.decode import content_of
from mri_model.data.header import UndecodableError
from mri_model.data.medical.codestream import read_codestream
from mri_model.data.medical.dicom import DicomFile
from mri_model.data.medical.kinds import kind_of
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.medical.slices import Slice
from mri_model.data.medical.window import in_window, levels, percentile_window
from mri_model.data.phantom_dicom import write_dicom_phantom
from tests.data.medical.files import dicom, head

BUNDLED = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(file for file in BUNDLED.rglob("*") if file.is_file() and kind_of(file.read_bytes()) == "DICOM")

UNREAD_BY_HIGHDICOM = {"ExplVR_BigEnd.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm"}
"""highdicom reads no big-endian files."""

ROUNDED = 1
"""Grey levels: highdicom rescales the window instead of the values, so ties may round the other way."""


def shown(file: DicomFile, frame: int) -> np.ndarray:
    """A frame as a volume of its own."""
    needs_window = file.window(frame)[0] == "percentiles"
    return file.grey(frame, percentile_window([levels(file.modality_values(frame))]) if needs_window else None)


def by_highdicom(data: bytes, file: DicomFile, frame: int) -> np.ndarray:
    """The same by highdicom's own transforms, float of 0-255."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = highdicom.Image.from_dataset(pydicom.dcmread(io.BytesIO(data), force=True))
    plain = {"apply_real_world_transform": False, "apply_icc_profile": False}
    kind, _ = file.window(frame)
    if kind.startswith("file"):
        return np.rint(image.get_frame(frame + 1, apply_voi_transform=True, voi_output_range=(0, 255), **plain))
    if kind == "percentiles":
        values = image.get_frame(frame + 1, apply_presentation_lut=False, **plain)
        grey = in_window(values, percentile_window([levels(values)]))
        return 255.0 - grey if file.header.is_inverted else grey.astype(float)
    values = image.get_frame(frame + 1, **plain)
    return values // 256 if values.max() > 255 else values


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(BUNDLED).as_posix())
def test_each_file_that_pydicom_bundles_gives_highdicoms_grey_values_or_a_reason(path: Path) -> None:
    data = path.read_bytes()
    try:
        file = DicomFile(data)
        ours = [shown(file, frame) for frame in range(min(file.header.n_frames, 3))]
    except UndecodableError as error:
        assert str(error)
        return
    assert all(image.dtype == np.uint8 and image.shape[:2] == ours[0].shape[:2] for image in ours)
    if path.name in UNREAD_BY_HIGHDICOM or "big_endian" in path.name or "32bit" in path.name:
        return
    if path.name == "SC_rgb_small_odd.dcm":  # incomplete for highdicom
        return
    for frame, image in enumerate(ours):
        assert np.abs(image - by_highdicom(data, file, frame)).max() <= ROUNDED


def test_most_of_the_bundled_images_are_read() -> None:
    """So that the test above cannot pass by rejecting everything."""
    reasons = [decode_slices(content_of(path.read_bytes()), [Slice("", (0.0, 1.0))])[0].reason for path in FILES]
    assert sum(reason is None for reason in reasons) > 70


def test_the_phantom_has_highdicoms_grey_values_also_where_frames_are_rescaled_one_by_one(tmp_path: Path) -> None:
    write_dicom_phantom(tmp_path / "data", per_tumor=1)
    kinds = set()
    for path in sorted(tmp_path.rglob("IM*"))[::5] + sorted(tmp_path.glob("data/Astrocitoma T2/*/*/IM*")):
        data = path.read_bytes()
        try:
            file = DicomFile(data)
        except UndecodableError:
            continue
        for frame in range(file.header.n_frames):
            kinds.add((file.window(frame)[0], file.header.is_inverted, file.header.n_frames > 1))
            assert np.abs(shown(file, frame) - by_highdicom(data, file, frame)).max() <= ROUNDED
    assert {("file window", False, True), ("file window", True, False), ("percentiles", False, False)} <= kinds


def decoded(data: bytes) -> np.ndarray:
    return shown(DicomFile(data), 0)


def reason(data: bytes) -> str:
    return str(decode_slices(content_of(data), [Slice("", (0.0, 1000.0))])[0].reason)


PIXELS = head(24)
WINDOW = {"WindowCenter": 500, "WindowWidth": 1000}


def test_low_values_of_monochrome1_are_bright_after_the_window() -> None:
    plain = decoded(dicom(PIXELS, **WINDOW))
    inverted = decoded(dicom(PIXELS, **WINDOW, PhotometricInterpretation="MONOCHROME1"))
    assert (inverted == 255 - plain).all()
    assert plain.min() == 0


@pytest.mark.parametrize("width", [0, 1, -3, None])
def test_a_window_that_cannot_work_is_as_none(width: float | None) -> None:
    file = DicomFile(dicom(PIXELS, WindowCenter=500, WindowWidth=width))
    assert file.window(0) == ("percentiles", None)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compression_without_loss_changes_no_grey_value(syntax: pydicom.uid.UID) -> None:
    plain = dicom(PIXELS, **WINDOW)
    dataset = pydicom.dcmread(io.BytesIO(plain))
    dataset.compress(syntax, generate_instance_uid=False)
    file = io.BytesIO()
    dataset.save_as(file)
    assert (decoded(file.getvalue()) == decoded(plain)).all()


def test_a_deflated_bomb_is_rejected_before_it_is_unpacked() -> None:
    small = dicom(PIXELS, syntax=DeflatedExplicitVRLittleEndian)
    assert decoded(small).shape == (32, 32)
    start = 144 + int.from_bytes(small[140:144], "little")
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(1 << 24)
    bomb = b"".join([small[:start], *(packer.compress(zeros) for _ in range(17)), packer.flush()])
    assert len(bomb) < 2_000_000
    assert reason(bomb) == "too large: a decompression bomb"


def test_compressed_pixels_larger_than_the_header_says_are_rejected() -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom(PIXELS)))
    dataset.compress(JPEG2000Lossless)
    dataset.Rows = dataset.Columns = 16
    file = io.BytesIO()
    dataset.save_as(file)
    assert "another size" in reason(file.getvalue())


REFUSED = {
    "12-bit JPEG Extended": (BUNDLED / "JPGExtended.dcm", "JPEG Extended with 12 bits"),
    "cut off": (BUNDLED / "MR_truncated.dcm", "truncated"),
    "segmentation": (BUNDLED / "liver_1frame.dcm", "segmentation (SEG)"),
    "report": (BUNDLED / "reportsi.dcm", "structured report (SR)"),
    "radiotherapy": (BUNDLED / "rtdose.dcm", "radiotherapy object (RT)"),
    "waveforms": (BUNDLED / "waveform_ecg.dcm", "waveforms"),
    "DICOMDIR": (BUNDLED / "dicomdirtests" / "DICOMDIR", "DICOMDIR"),
    "no pixels": (BUNDLED / "empty_charset_LEI.dcm", "without pixels"),
}


@pytest.mark.parametrize(("path", "why"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_image_says_what_it_is(path: Path, why: str) -> None:
    assert why in reason(path.read_bytes())


def test_a_localizer_and_impossible_sizes_are_rejected() -> None:
    assert "localizer" in reason(dicom(PIXELS, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    assert "too large: 65535×65535 pixels" in reason(dicom(PIXELS, Rows=65535, Columns=65535))
    assert "too large" in reason(dicom(PIXELS, NumberOfFrames=1_000_000))
    assert "truncated" in reason(dicom(PIXELS, NumberOfFrames=2))


def test_no_prefix_of_a_file_and_no_changed_byte_crashes() -> None:
    whole = dicom(PIXELS, 3.0, **WINDOW)
    rng = np.random.default_rng(0)
    for _ in range(150):
        cut = whole[: rng.integers(132, len(whole))]
        changed = bytearray(whole)
        for at in rng.integers(132, 900, 3):
            changed[at] = rng.integers(256)
        for data in (cut, bytes(changed)):
            image = decode_slices(content_of(data), [Slice("", (0.0, 1000.0))])[0]
            assert (image.pixels is None) == bool(image.reason)


def test_a_codestream_that_lies_or_ends_early_is_not_followed_for_ever() -> None:
    assert read_codestream(b"\xff\xd8" + b"\xff" * 100) is None
    assert read_codestream(b"\xff\xd8\xff\xe0\xff\xff") is None
    assert read_codestream(b"RLE") is None
