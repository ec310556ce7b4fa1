"""A look into one DICOM or NIfTI file: what is kept of its header, and each picture in brief.

A look depends on nothing but the file's bytes, the axis that volumes are cut along and the key of the pseudonyms, so it
can be kept. It holds no identifiers.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mri_model.data.decode import Content
from mri_model.data.header import UndecodableError
from mri_model.data.medical.choice import Axis
from mri_model.data.medical.damage import damage_is_a_reason
from mri_model.data.medical.kinds import EXTRA, Kind, is_installed
from mri_model.data.medical.turns import in_turn
from mri_model.data.medical.window import FILE_WINDOW, PERCENTILES, Window, levels, share_above, threshold_of
from mri_model.data.preprocessing import BRIGHT
from mri_model.data.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from mri_model.data.medical.dicom import DicomFile


@dataclass(frozen=True)
class Frame:
    """A picture of a file.

    Attributes:
        name: ``frame=4``, ``z=23``; empty for the only picture of a DICOM file.
        reason: Why it cannot be used; None if it can.
        shown: How it is made 8 bits: one of the names in ``window``.
        limits: The values that are shown black and white, if the file says so.
        bright: Share of its pixels brighter than ``BRIGHT`` as the file says it is shown; None if it does not say.
        brief: Its ``levels``; None where the file says how it is shown.
        plane: ``axial``, ``coronal`` or ``sagittal``; None if the file has no orientation.
        position: Along the normal of the plane, in mm; for NIfTI the place along the axis.
    """

    name: str
    reason: str | None = None
    shown: str | None = None
    limits: Window | None = None
    bright: float | None = None
    brief: NDArray[np.float32] | None = None
    plane: str | None = None
    position: float = 0.0

    def brightness(self, window: Window | None, is_inverted: bool) -> float:
        """Share of its pixels that are shown brighter than ``BRIGHT``.

        Args:
            window: Used if the file does not say how it is shown.
            is_inverted: Whether low values are shown bright.
        """
        if self.bright is not None:
            return self.bright
        if self.brief is None or window is None:
            return 0.0
        if is_inverted:
            return 1 - share_above(self.brief, window, 255 - BRIGHT - 1)
        return share_above(self.brief, window, BRIGHT)


@dataclass(frozen=True)
class Look:
    """What a look into a file showed.

    Attributes:
        kind: DICOM or NIfTI.
        reason: Why no picture of the file can be used; None if some may.
        frames: Its pictures.
        series, patient, patient_number: Pseudonyms, see ``survey.Source``; None for NIfTI, whose path says them.
        contrast_hint: What the header says about the contrast.
        burned_in: What it says about text burned into the pixels.
        number: InstanceNumber.
        is_inverted: Whether low values are shown bright.
    """

    kind: Kind
    reason: str | None = None
    frames: tuple[Frame, ...] = ()
    series: str | None = None
    patient: str | None = None
    patient_number: str | None = None
    contrast_hint: str | None = None
    burned_in: str | None = None
    number: float = 0.0
    is_inverted: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=lambda brief: base64.b64encode(brief.astype("<f4").tobytes()).decode())

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` wrote. Raises ValueError, TypeError or KeyError for other texts."""
        values = json.loads(text)
        return cls(**{**values, "frames": tuple(map(frame_of, values["frames"]))})


def frame_of(values: dict[str, Any]) -> Frame:
    brief, limits = values["brief"], values["limits"]
    unpacked = None if brief is None else np.frombuffer(base64.b64decode(brief), "<f4")
    return Frame(**{**values, "brief": unpacked, "limits": limits and tuple(limits)})


def look_into(kind: Kind, content: Content, axis: Axis, pseudonyms: Pseudonyms) -> Look:
    """Look into a file of a kind. A file that cannot be used gives a look with a reason."""
    try:
        if not is_installed(kind):
            raise UndecodableError(f"a {kind} file: to read it, {EXTRA}")
        with in_turn(content), damage_is_a_reason():
            return look_into_dicom(content, pseudonyms) if kind == "DICOM" else look_into_nifti(content, axis)
    except UndecodableError as error:
        return Look(kind, str(error))


def look_into_nifti(content: Content, axis: Axis) -> Look:
    from mri_model.data.medical.nifti import NiftiVolume

    volume = NiftiVolume(content.data, axis)
    shown = FILE_WINDOW if volume.window else PERCENTILES
    frames = [
        Frame(volume.name(index), None, shown, volume.window, None, levels(volume.values(index)), axis, float(index))
        for index in range(volume.n_slices)
    ]
    return Look("NIfTI", frames=tuple(frames))


def look_into_dicom(content: Content, pseudonyms: Pseudonyms) -> Look:
    """A file without PatientID is of the patient of its study; one without a series is a series of its own."""
    from mri_model.data.medical.dicom import DicomFile

    file = DicomFile(content.data)
    header, who = file.header, file.header.identifiers
    known = ("patient", who.patient, who.issuer) if who.patient else ("study", who.study) if who.study else None
    return Look(
        kind="DICOM",
        frames=tuple(frames_of(file)),
        series=pseudonyms.of("series", who.series) if who.series else pseudonyms.of("file", content.sha256),
        patient=pseudonyms.of(*known) if known else None,
        patient_number=pseudonyms.of("number", who.patient) if who.patient else None,
        contrast_hint=header.acquisition.contrast(),
        burned_in=header.burned_in,
        number=header.number,
        is_inverted=header.is_inverted,
    )


def frames_of(file: "DicomFile") -> Iterator[Frame]:
    n_frames = file.header.n_frames
    for index in range(n_frames):
        name = f"frame={index + 1}" if n_frames > 1 else ""
        try:
            with damage_is_a_reason():
                yield look_at_frame(file, index, name)
        except UndecodableError as error:
            yield Frame(name, str(error))


def look_at_frame(file: "DicomFile", index: int, name: str) -> Frame:
    plane, position = file.header.place(index) or (None, 0.0)
    shown, limits = file.window(index)
    if shown == PERCENTILES:
        return Frame(name, None, shown, limits, None, levels(file.modality_values(index)), plane, position)
    return Frame(name, None, shown, limits, bright_share(file, index, limits), None, plane, position)


def bright_share(file: "DicomFile", index: int, limits: Window | None) -> float:
    """Share of a frame's pixels that are shown brighter than ``BRIGHT``, as the file says it is shown."""
    stated = file.header.window(index)
    if limits is None or stated is None or stated.function == "SIGMOID":
        return float((file.grey(index, None) > BRIGHT).mean())
    values = file.modality_values(index)  # a linear window needs no grey values, which take longer
    if file.header.is_inverted:
        return float((values < threshold_of(limits, 255 - BRIGHT - 1)).mean())
    return float((values > threshold_of(limits, BRIGHT)).mean())
