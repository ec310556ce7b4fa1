"""Decode the pictures of a DICOM or NIfTI file to 8 bits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mri_model.data.decode import Content, DecodedImage
from mri_model.data.header import UndecodableError
from mri_model.data.medical.choice import Axis
from mri_model.data.medical.damage import damage_is_a_reason
from mri_model.data.medical.kinds import FIRST_BYTES, Kind, kind_of
from mri_model.data.medical.slices import Slice
from mri_model.data.medical.turns import in_turn
from mri_model.data.medical.window import in_window

AXIS_OF: dict[str, Axis] = {"x": "sagittal", "y": "coronal", "z": "axial"}

Grey = Callable[[Slice], "np.ndarray[Any, Any]"]


def decode_slices(content: Content, slices: Sequence[Slice]) -> list[DecodedImage]:
    """Decode pictures of one file, which is opened once.

    Args:
        content: The file.
        slices: Pictures of it; of a NIfTI volume all along one axis.

    Returns:
        One result for each, in their order: pixels, or the reason why there are none. Grey pictures are views of one
        channel.
    """
    kind = kind_of(content.data[:FIRST_BYTES])
    image = DecodedImage(content.sha256, content.n_bytes, kind, reason=content.reason)
    if content.reason or kind is None:
        return [replace(image, reason=content.reason or "neither DICOM nor NIfTI")] * len(slices)
    with in_turn(content):
        return list(decoded(kind, content, slices, image))


def decoded(kind: Kind, content: Content, slices: Sequence[Slice], image: DecodedImage) -> Iterator[DecodedImage]:
    try:
        with damage_is_a_reason():
            grey = open_file(kind, content.data, slices)
    except UndecodableError as error:
        yield from [replace(image, reason=str(error))] * len(slices)
        return
    for each in slices:
        try:
            with damage_is_a_reason():
                pixels = grey(each)
        except UndecodableError as error:
            yield replace(image, reason=str(error))
        else:
            channels = 1 if pixels.ndim == 2 else 3
            bgr = np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3)) if channels == 1 else pixels[:, :, ::-1]
            yield replace(image, stored_channels=channels, pixels=bgr)


def open_file(kind: Kind, data: bytes, slices: Sequence[Slice]) -> Grey:
    """A function that gives a picture of the file: uint8, grey or RGB. Raises UndecodableError."""
    if kind == "DICOM":
        from mri_model.data.medical.dicom import DicomFile

        file = DicomFile(data)
        return lambda each: file.grey(each.index, each.window)
    from mri_model.data.medical.nifti import NiftiVolume

    volume = NiftiVolume(data, AXIS_OF[slices[0].axis])
    return lambda each: in_window(volume.values(each.index), each.window or (0.0, 0.0))
