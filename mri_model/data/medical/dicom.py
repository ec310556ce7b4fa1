"""DICOM files: what the header says, and each frame as an 8-bit image.

Rules, in this order (DICOM PS3.4, N.2): modality values by rescale or look-up table, per frame where that is given;
then the file's first window or look-up table (VOI), else a window that the caller gives; inverted last, if low values
are to be shown bright. Only pydicom and highdicom see the file. Their messages may repeat its text and are
never shown.
"""

import io
import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gdcm
import highdicom
import numpy as np
import pydicom
from highdicom.pixels import apply_lut, apply_voi_window
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from mri_model.data.decode import MAX_BYTES, MAX_PIXELS
from mri_model.data.header import UndecodableError
from mri_model.data.medical.codestream import read_codestream
from mri_model.data.medical.hint import Acquisition
from mri_model.data.medical.window import (
    AS_STORED,
    FILE_LUT,
    FILE_WINDOW,
    PERCENTILES,
    Values,
    Window,
    in_window,
    to_bytes,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_FRAMES = 10_000

NO_IMAGES = {
    "1.2.840.10008.1.3.10": "a DICOMDIR, the table of contents of a DICOM folder",
    "1.2.840.10008.5.1.4.1.1.4.2": "DICOM spectroscopy (MRS), not an image",
    "1.2.840.10008.5.1.4.1.1.66": "DICOM raw data, not an image",
    "1.2.840.10008.5.1.4.1.1.66.1": "a DICOM registration (REG), not an image",
    "1.2.840.10008.5.1.4.1.1.66.3": "a DICOM registration (REG), not an image",
    "1.2.840.10008.5.1.4.1.1.66.4": "a DICOM segmentation (SEG), not an image",
    "1.2.840.10008.5.1.4.1.1.66.7": "a DICOM segmentation (SEG), not an image",
}
"""Why files of a SOP class are rejected (DICOM PS3.6, A)."""

NO_IMAGE_FAMILIES = {
    "1.2.840.10008.5.1.4.1.1.88.": "a DICOM structured report (SR), not an image",
    "1.2.840.10008.5.1.4.1.1.481.": "a DICOM radiotherapy object (RT), not an image",
    "1.2.840.10008.5.1.4.1.1.11.": "a DICOM presentation state (PR), not an image",
    "1.2.840.10008.5.1.4.1.1.9.": "DICOM waveforms, not an image",
    "1.2.840.10008.5.1.4.1.1.104.": "a document in a DICOM file, not an image",
}
"""Likewise for all SOP classes that begin so."""

RT_IMAGE = "1.2.840.10008.5.1.4.1.1.481.1"

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
GREY = ("MONOCHROME1", "MONOCHROME2")
PLANES = ("sagittal", "coronal", "axial")

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
for name in ("pydicom", "highdicom"):
    logging.getLogger(name).disabled = True
    warnings.filterwarnings("ignore", module=name)
gdcm.Trace.WarningOff()
gdcm.Trace.ErrorOff()
gdcm.Trace.DebugOff()


@dataclass(frozen=True)
class Identifiers:
    """Who and what an image is of, as the file says it. They leave this package as keyed hashes only.

    Attributes:
        patient: PatientID; empty if there is none.
        issuer: Who gave that number.
        study, series: UIDs.
    """

    patient: str
    issuer: str
    study: str
    series: str


class DicomFile:
    """An open DICOM file.

    Attributes:
        n_frames: Number of frames, at least 1.
        n_channels: As stored: 1 or 3.
        height, width: Of a frame, in pixels.
    """

    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            UndecodableError: If the file is damaged, too large, or holds no image that can be used.
        """
        check_inflated(data)
        try:
            self._dataset: Dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            refuse_what_is_no_image(self._dataset)
            self.height, self.width = int(self._dataset.Rows), int(self._dataset.Columns)
            self.n_frames = int(self._dataset.get("NumberOfFrames") or 1)
            self.n_channels = int(self._dataset.get("SamplesPerPixel") or 1)
            self._photometric = str(self._dataset.PhotometricInterpretation)
        except UndecodableError:
            raise
        except Exception:  # a damaged header can make pydicom raise any exception
            raise UndecodableError("corrupt: the header of the DICOM file cannot be read") from None
        self._check_size()

    def _check_size(self) -> None:
        if not (self.height > 0 and self.width > 0 and self.n_frames > 0):
            raise UndecodableError("corrupt: the header of the DICOM file cannot be read")
        if self.height * self.width > MAX_PIXELS:
            raise UndecodableError(f"too large: {self.width}×{self.height} pixels")
        if self.n_frames > MAX_FRAMES:
            raise UndecodableError(f"too large: {self.n_frames} frames")
        if self._photometric not in (*GREY, *COLOUR, "PALETTE COLOR"):
            raise UndecodableError("a DICOM file whose colours are stored in an unknown way")

    @cached_property
    def identifiers(self) -> Identifiers:
        patient, issuer = self._text("PatientID"), self._text("IssuerOfPatientID")
        return Identifiers(patient, issuer, self._text("StudyInstanceUID"), self._text("SeriesInstanceUID"))

    @cached_property
    def acquisition(self) -> Acquisition:
        words = " ".join(self._text(name) for name in ("SeriesDescription", "ProtocolName", "SequenceName"))
        echo = self._number("EchoTime", ("MREchoSequence", "EffectiveEchoTime"))
        repetition = self._number("RepetitionTime", ("MRTimingAndRelatedParametersSequence", "RepetitionTime"))
        agent = self._text("ContrastBolusAgent") or ("yes" if "ContrastBolusAgentSequence" in self._dataset else "")
        return Acquisition(words, agent, echo, repetition)

    @cached_property
    def burned_in(self) -> str:
        """``yes``, ``no`` or ``missing``: whether text is burned into the pixels, as the file says."""
        said = self._text("BurnedInAnnotation").upper()
        return {"YES": "yes", "NO": "no"}.get(said, "missing")

    @cached_property
    def number(self) -> float:
        """InstanceNumber, which orders the files of a series that states no positions; 0 if there is none."""
        return self._number("InstanceNumber") or 0.0

    def plane(self, frame: int) -> str | None:
        """``axial``, ``coronal`` or ``sagittal``, whichever is nearest; None if the frame has no orientation."""
        normal = self._normal(frame)
        return None if normal is None else PLANES[int(np.argmax(np.abs(normal)))]

    def position(self, frame: int) -> float | None:
        """Position along the normal of the frame's plane, in mm, rising to the head, the back or the left."""
        normal, corner = self._normal(frame), self._vector(frame, "PlanePositionSequence", "ImagePositionPatient", 3)
        if normal is None or corner is None:
            return None
        return float(corner @ (normal * np.sign(normal[np.argmax(np.abs(normal))])))

    def _normal(self, frame: int) -> NDArray[np.float64] | None:
        axes = self._vector(frame, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        if axes is None or not np.any(normal := np.cross(axes[:3], axes[3:])):
            return None
        return normal

    def _vector(self, frame: int, sequence: str, name: str, length: int) -> NDArray[np.float64] | None:
        for item in self._items(frame, sequence):
            try:
                values = np.array(item[name].value, np.float64)
            except (KeyError, TypeError, ValueError):
                continue
            if values.shape == (length,) and np.isfinite(values).all():
                return values
        return None

    def modality_values(self, frame: int) -> Values:
        """The values of a frame in the units of its modality.

        Raises:
            UndecodableError: If the frame is damaged, or in colour.
        """
        if self._photometric not in GREY:
            raise UndecodableError("in colour")
        with damage_is_a_reason():
            stored = self._stored(frame)
            if "ModalityLUTSequence" in self._dataset:
                return np.asarray(apply_modality_lut(stored, self._dataset))
            for item in self._items(frame, "PixelValueTransformationSequence"):
                if item.get("RescaleSlope") or item.get("RescaleIntercept"):
                    slope, intercept = float(item.get("RescaleSlope") or 1), float(item.get("RescaleIntercept") or 0)
                    return stored.astype(np.float64) * slope + intercept
            return stored

    def states_window(self, frame: int) -> bool:
        """Whether the file says itself how the frame is shown with 8 bits."""
        return self.n_channels > 1 or self._photometric not in GREY or bool(self.window(frame)[0] != PERCENTILES)

    def window(self, frame: int) -> tuple[str, Window | None]:
        """How the frame is shown with 8 bits, and the values that are black and white where that is a window.

        ``percentiles``: the file does not say it.
        """
        if self._photometric not in GREY:
            return AS_STORED, None
        if "VOILUTSequence" in self._dataset:
            return FILE_LUT, None
        if stated := self._stated_window(frame):
            center, width, function = stated
            shift = 1 if function == "LINEAR" else 0
            return FILE_WINDOW, (center - width / 2, center + width / 2 - shift)
        return (AS_STORED if self._is_8_bit else PERCENTILES), None

    @property
    def _is_8_bit(self) -> bool:
        """Whether stored values are grey values already, such as those of a screenshot."""
        header = self._dataset
        rescaled = any(item.get("RescaleSlope") for item in self._items(0, "PixelValueTransformationSequence"))
        plain = "PixelData" in header and not rescaled and "ModalityLUTSequence" not in header
        return plain and int(header.get("BitsStored", 16)) == 8 and not header.get("PixelRepresentation")

    def _stated_window(self, frame: int) -> tuple[float, float, str] | None:
        """Center, width and function of the first window that the file states; None if it states none that works."""
        for item in self._items(frame, "FrameVOILUTSequence"):
            if "WindowCenter" not in item and "WindowWidth" not in item:
                continue
            center, width = first(item.get("WindowCenter")), first(item.get("WindowWidth"))
            function = str(item.get("VOILUTFunction") or "LINEAR")
            narrowest = 1 if function == "LINEAR" else 0
            if center is None or width is None or not width > narrowest:
                return None
            return center, width, function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
        return None

    def grey(self, frame: int, window: Window | None) -> NDArray[np.uint8]:
        """A frame with 8 bits.

        Args:
            frame: Counted from 0.
            window: Used if the file does not say how it is shown.

        Returns:
            uint8 of shape (height, width) for grey frames, RGB of shape (height, width, 3) for others.

        Raises:
            UndecodableError: If the frame is damaged, or stored in a way that cannot be decoded.
        """
        if self._photometric not in GREY:
            with damage_is_a_reason():
                return self._colour(frame)
        values = self.modality_values(frame)
        with damage_is_a_reason():
            shown = self._shown(frame, values, window)
            return 255 - shown if self.is_inverted else shown

    def _shown(self, frame: int, values: Values, window: Window | None) -> NDArray[np.uint8]:
        if "VOILUTSequence" in self._dataset:
            table = highdicom.VOILUT.from_dataset(self._dataset.VOILUTSequence[0])
            scaled = table.get_scaled_lut_data((0.0, 255.0))
            return to_bytes(apply_lut(np.rint(values).astype(np.int64), scaled, table.first_mapped_value))
        if stated := self._stated_window(frame):
            center, width, function = stated
            return to_bytes(apply_voi_window(values, center, width, function, (0.0, 255.0)))
        if self._is_8_bit:
            return values.astype(np.uint8)
        if window is None:
            raise UndecodableError("a DICOM file without a window")
        return in_window(values, window)

    @property
    def is_inverted(self) -> bool:
        """Whether low values are shown bright (as in highdicom; DICOM PS3.3, C.11.6)."""
        if "PresentationLUTShape" in self._dataset:
            return str(self._dataset.PresentationLUTShape) == "INVERSE"
        return self._photometric == "MONOCHROME1"

    def _colour(self, frame: int) -> NDArray[np.uint8]:
        stored = self._stored(frame)
        if self._photometric == "PALETTE COLOR":
            stored = apply_color_lut(stored, self._dataset)
            bits = stored.dtype.itemsize * 8
        else:
            bits = int(self._dataset.BitsStored)
        if stored.ndim != 3 or stored.shape[2] != 3 or stored.dtype.kind != "u":
            raise UndecodableError("a DICOM file whose colours are stored in an unknown way")
        return (stored >> max(bits - 8, 0)).astype(np.uint8)

    def _stored(self, frame: int) -> NDArray[Any]:
        if self._dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            self._check_codestream(frame)
        elif "PixelData" in self._dataset and len(self._dataset.PixelData) < get_expected_length(self._dataset):
            raise UndecodableError("truncated: the end of the image is missing")
        return pixel_array(self._dataset, index=frame)

    def _check_codestream(self, frame: int) -> None:
        """Refuse compressed pixels of another size than the header's, before memory is taken for them."""
        data = pydicom.encaps.get_frame(self._dataset.PixelData, frame, number_of_frames=self.n_frames)
        found = read_codestream(data)
        if found and found.is_extended:
            raise UndecodableError("JPEG Extended with 12 bits, which cannot be decoded: export it uncompressed")
        if found and found.size != (self.height, self.width):
            raise UndecodableError("corrupt: its compressed pixels have another size than its header says")

    def _items(self, frame: int, sequence: str) -> Iterator["Dataset"]:
        """The places in the header that may say something about a frame: for all frames first, as in highdicom."""
        header = self._dataset
        yield header
        groups = [header.get("SharedFunctionalGroupsSequence") or []]
        per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
        groups.append(per_frame[frame : frame + 1])
        for items in groups:
            for item in items[:1]:
                if item.get(sequence):
                    yield item[sequence].value[0]

    def _text(self, name: str) -> str:
        try:
            value = self._dataset.get(name)
        except Exception:  # a value that pydicom cannot convert
            return ""
        return "" if value is None else str(value).strip().strip("\0")

    def _number(self, name: str, nested: tuple[str, str] | None = None) -> float | None:
        try:
            found = [item.get(name) for item in [self._dataset]]
            if nested:
                found += [item.get(nested[1]) for item in self._items(0, nested[0])]
            return next((float(each) for each in found if each is not None and np.isfinite(float(each))), None)
        except Exception:  # a value that is no number
            return None


def refuse_what_is_no_image(dataset: "Dataset") -> None:
    """Raises UndecodableError if a file holds no image, or a localizer."""
    meta = getattr(dataset, "file_meta", {})
    kind = str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    family = next((why for start, why in NO_IMAGE_FAMILIES.items() if kind.startswith(start)), None)
    if reason := NO_IMAGES.get(kind) or (None if kind == RT_IMAGE else family):
        raise UndecodableError(reason)
    if not any(name in dataset for name in PIXELS):
        raise UndecodableError("a DICOM file without pixels")
    if "LOCALIZER" in [str(each).upper() for each in listed(dataset.get("ImageType"))]:
        raise UndecodableError("a localizer, not an examination")
    if "TransferSyntaxUID" not in meta:
        little, implicit = dataset.original_encoding[1], dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = UID(
            "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
        )


def check_inflated(data: bytes) -> None:
    """Raises UndecodableError if a deflated file would unpack to more than ``MAX_BYTES``."""
    if DeflatedExplicitVRLittleEndian.encode() not in data[:1024]:
        return
    start = 144 + int.from_bytes(data[140:144], "little")  # after the group length, which comes first (PS3.10, 7.1)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacker.decompress(data[start:], MAX_BYTES)
    except zlib.error:
        raise UndecodableError("corrupt: the deflated part of the DICOM file is damaged") from None
    if unpacker.unconsumed_tail:
        raise UndecodableError("too large: a decompression bomb")


@contextmanager
def damage_is_a_reason() -> Iterator[None]:
    """Turns whatever a decoder raises into a rejection reason, without the decoder's words."""
    try:
        yield
    except UndecodableError:
        raise
    except Exception:
        raise UndecodableError("corrupt, or compressed in a way that cannot be decoded") from None


def listed(value: Any) -> list[Any]:
    """The values of an element that may have several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]


def first(value: Any) -> float | None:
    """The first number of an element that may have several; None if there is none."""
    try:
        found = float(listed(value)[0])
    except (IndexError, TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None
