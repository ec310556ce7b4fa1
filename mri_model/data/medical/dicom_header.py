"""What the header of a DICOM file says, read once; for a file of several frames also about each frame."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag, Tag

from mri_model.data.decode import MAX_PIXELS
from mri_model.data.header import UndecodableError
from mri_model.data.medical.hint import Acquisition

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

NOBODY = re.compile(r"ANON(YM(OUS|I[SZ]ED)?)?|UNKNOWN|NONE|NO ?NAME|N/?A|NULL|REMOVED|DE-?IDENTIFIED|[-0\s]*")
"""Values of PatientID that stand for nobody; many de-identified exports give all patients one of them."""

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "YBR_PARTIAL_422")
PALETTE = "PALETTE COLOR"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PLANES = ("sagittal", "coronal", "axial")

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


def tags_of(*names: str) -> dict[str, BaseTag]:
    return {name: Tag(tag_for_keyword(name) or 0) for name in names}


PIXEL_TAGS = tags_of(*PIXELS)

TAGS = tags_of(
    *("SOPClassUID", "ImageType", "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("InstanceNumber", "SeriesDescription", "ProtocolName", "SequenceName", "ContrastBolusAgent"),
    *("ContrastBolusAgentSequence", "EchoTime", "EffectiveEchoTime", "RepetitionTime", "BurnedInAnnotation"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored"),
    *("PixelRepresentation", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"),
    *("ModalityLUTSequence", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("PresentationLUTShape", SHARED, PER_FRAME),
)
"""Elements that are read."""

GROUPS = tags_of(
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence", "FrameVOILUTSequence"),
    *("MREchoSequence", "MRTimingAndRelatedParametersSequence"),
)
"""Functional groups that are read (DICOM PS3.3, C.7.6.16): sequences of one item."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Identifiers:
    """Who and what an image is of, as the file says it. They leave this package as keyed hashes only.

    Attributes:
        patient: PatientID; empty if there is none, or one that stands for nobody, such as ANONYMOUS.
        issuer: Who gave that number.
        study, series: UIDs.
    """

    patient: str
    issuer: str
    study: str
    series: str


@dataclass(frozen=True)
class StatedWindow:
    """A window of the file (DICOM PS3.3, C.11.2.1.2)."""

    center: float
    width: float
    function: str


class DicomHeader:
    """The header of a DICOM image.

    Attributes:
        values: The elements that it has, by keyword.
        height, width: Of a frame, in pixels.
        n_frames: Number of frames, at least 1.
        photometric: How pixels are to be understood, such as ``MONOCHROME2``.
    """

    def __init__(self, dataset: "Dataset") -> None:
        """Read it.

        Raises:
            UndecodableError: If the file holds no image that can be used, or one that is too large.
        """
        self.values = present(dataset, TAGS)
        kind = self.text("SOPClassUID") or str(getattr(dataset, "file_meta", {}).get("MediaStorageSOPClassUID") or "")
        self._refuse_what_is_no_image(kind, any(tag in dataset for tag in PIXEL_TAGS.values()))
        self.height, self.width = int(self.values["Rows"]), int(self.values["Columns"])
        self.n_frames = int(self.values.get("NumberOfFrames") or 1)
        self.photometric = str(self.values["PhotometricInterpretation"])
        self._check_size()

    def _refuse_what_is_no_image(self, kind: str, has_pixels: bool) -> None:
        family = next((why for start, why in NO_IMAGE_FAMILIES.items() if kind.startswith(start)), None)
        if reason := NO_IMAGES.get(kind) or (None if kind == RT_IMAGE else family):
            raise UndecodableError(reason)
        if not has_pixels:
            raise UndecodableError("a DICOM file without pixels, or cut off before them")
        if "LOCALIZER" in [str(each).upper() for each in listed(self.values.get("ImageType"))]:
            raise UndecodableError("a localizer, not an examination")

    def _check_size(self) -> None:
        if not (self.height > 0 and self.width > 0 and self.n_frames > 0):
            raise UndecodableError("corrupt: the header of the DICOM file cannot be read")
        if self.height * self.width > MAX_PIXELS:
            raise UndecodableError(f"too large: {self.width}×{self.height} pixels")
        if self.n_frames > MAX_FRAMES:
            raise UndecodableError(f"too large: {self.n_frames} frames")
        if self.photometric not in (*GREY, *COLOUR, PALETTE):
            raise UndecodableError("a DICOM file whose colours are stored in an unknown way")

    @property
    def is_grey(self) -> bool:
        return self.photometric in GREY

    @cached_property
    def identifiers(self) -> Identifiers:
        patient, issuer = self.text("PatientID"), self.text("IssuerOfPatientID")
        patient = "" if NOBODY.fullmatch(patient.upper()) else patient
        return Identifiers(patient, issuer, self.text("StudyInstanceUID"), self.text("SeriesInstanceUID"))

    @cached_property
    def acquisition(self) -> Acquisition:
        words = " ".join(self.text(name) for name in ("SeriesDescription", "ProtocolName", "SequenceName"))
        agent = self.text("ContrastBolusAgent") or ("yes" if "ContrastBolusAgentSequence" in self.values else "")
        echo = self._first_number(0, "MREchoSequence", ("EchoTime", "EffectiveEchoTime"))
        repetition = self._first_number(0, "MRTimingAndRelatedParametersSequence", ("RepetitionTime",))
        return Acquisition(words, agent, echo, repetition)

    @cached_property
    def burned_in(self) -> str:
        """``yes``, ``no`` or ``missing``: whether text is burned into the pixels, as the file says."""
        said = self.text("BurnedInAnnotation").upper()
        return {"YES": "yes", "NO": "no"}.get(said, "missing")

    @cached_property
    def number(self) -> float:
        """InstanceNumber, which orders the files of a series that states no positions; 0 if there is none."""
        return number_in(self.values.get("InstanceNumber")) or 0.0

    @cached_property
    def is_inverted(self) -> bool:
        """Whether low values are shown bright (as in highdicom; DICOM PS3.3, C.11.6)."""
        if "PresentationLUTShape" in self.values:
            return self.text("PresentationLUTShape") == "INVERSE"
        return self.photometric == "MONOCHROME1"

    def place(self, frame: int) -> tuple[str, float] | None:
        """The plane that a frame is nearest to and its position, or None if the file does not say.

        Returns:
            ``axial``, ``coronal`` or ``sagittal``, and the position along the frame's normal in mm, which rises to the
            head, the back or the left.
        """
        axes = self._vector(frame, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        corner = self._vector(frame, "PlanePositionSequence", "ImagePositionPatient", 3)
        if axes is None or corner is None or not np.any(normal := np.cross(axes[:3], axes[3:])):
            return None
        along = int(np.argmax(np.abs(normal)))
        return PLANES[along], float(corner @ normal * np.sign(normal[along]))

    def rescale(self, frame: int) -> tuple[float, float]:
        """Slope and intercept of the modality values."""
        for item in self.items(frame, "PixelValueTransformationSequence"):
            slope, intercept = number_in(item.get("RescaleSlope")), number_in(item.get("RescaleIntercept"))
            if slope or intercept:
                return slope or 1.0, intercept or 0.0
        return 1.0, 0.0

    def window(self, frame: int) -> StatedWindow | None:
        """The first window that the file states; None if it states none that works."""
        for item in self.items(frame, "FrameVOILUTSequence"):
            if "WindowCenter" not in item and "WindowWidth" not in item:
                continue
            center, width = number_in(item.get("WindowCenter")), number_in(item.get("WindowWidth"))
            function = str(item.get("VOILUTFunction") or "LINEAR")
            function = function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"
            if center is None or width is None or not width > (1 if function == "LINEAR" else 0):
                return None
            return StatedWindow(center, width, function)
        return None

    @cached_property
    def is_8_bit(self) -> bool:
        """Whether stored values are grey values already, such as those of a screenshot."""
        changed = "ModalityLUTSequence" in self.values or self.rescale(0) != (1.0, 0.0)
        is_unsigned = not self.values.get("PixelRepresentation")
        return not changed and is_unsigned and number_in(self.values.get("BitsStored")) == 8

    def items(self, frame: int, group: str) -> Iterator[Values]:
        """The places that may say something about a frame: those for all frames first, as in highdicom."""
        yield self.values
        if group in self._shared:
            yield self._shared[group]
        if group in (own := self._of_frame(frame)):
            yield own[group]

    @cached_property
    def _shared(self) -> Mapping[str, Values]:
        return functional_groups(self.values.get(SHARED) or [], 0)

    def _of_frame(self, frame: int) -> Mapping[str, Values]:
        per_frame = self.values.get(PER_FRAME)
        return functional_groups(per_frame, frame) if per_frame else {}

    def text(self, name: str) -> str:
        """The text of an element; empty if there is none."""
        value = self.values.get(name)
        return "" if value is None else str(value).strip().strip("\0")

    def _vector(self, frame: int, group: str, name: str, length: int) -> NDArray[np.float64] | None:
        for item in self.items(frame, group):
            try:
                values = np.array(item[name], np.float64)
            except (KeyError, TypeError, ValueError):
                continue
            if values.shape == (length,) and np.isfinite(values).all():
                return values
        return None

    def _first_number(self, frame: int, group: str, names: Sequence[str]) -> float | None:
        found = (number_in(item.get(name)) for item in self.items(frame, group) for name in names)
        return next((each for each in found if each is not None), None)


def functional_groups(items: Sequence["Dataset"], index: int) -> dict[str, Values]:
    """The functional groups of one item: name → elements."""
    found: dict[str, Values] = {}
    for item in items[index : index + 1]:
        for name, sequence in present(item, GROUPS).items():
            for elements in list(sequence)[:1]:
                found[name] = present(elements, TAGS)
    return found


def present(dataset: "Dataset", tags: Mapping[str, BaseTag]) -> dict[str, Any]:
    """The values of the elements that a dataset has and that can be read."""
    found = {}
    for name, tag in tags.items():
        if tag in dataset:
            try:
                found[name] = dataset[tag].value
            except Exception:  # a value that pydicom cannot convert
                continue
    return found


def listed(value: Any) -> list[Any]:
    """The values of an element that may have several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]


def number_in(value: Any) -> float | None:
    """The first number of an element that may have several; None if there is none."""
    try:
        found = float(listed(value)[0])
    except (IndexError, TypeError, ValueError):
        return None
    return found if np.isfinite(found) else None
