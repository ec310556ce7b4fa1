"""Read the header of an image with Pillow: format, mode and size, before any pixel is decoded."""

import io
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError

from mri_model.data.convertible import convertible_reason
from mri_model.data.formats import FORMATS

STORED_CHANNELS = {
    "1": 1,
    "L": 1,
    "P": 1,
    "I": 1,
    "F": 1,
    "I;16": 1,
    "I;16B": 1,
    "LA": 2,
    "PA": 2,
    "RGB": 3,
    "YCbCr": 3,
}
"""Number of channels by Pillow mode; 4 for all other modes."""


NOT_AN_IMAGE = "not an image (JPEG, PNG, WebP, BMP or TIFF), or its header is corrupt"


class UndecodableError(ValueError):
    """An image cannot be used; the message is the rejection reason."""


@dataclass(frozen=True)
class Header:
    """Properties of an image that are known before it is decoded.

    Attributes:
        format: A key of ``FORMATS``.
        mode: Pillow's name of the pixel format, for example ``L`` or ``RGB``.
        width: In pixels, as stored.
        height: In pixels, as stored.
        bits: Bits per channel.
        transparent: Whether the image has an alpha channel or a transparent colour.
        frames: 1, or 2 for two or more.
        orientation: EXIF orientation, 1 (upright) to 8.
    """

    format: str
    mode: str
    width: int
    height: int
    bits: int
    transparent: bool
    frames: int
    orientation: int


def identify(data: bytes) -> Header:
    """Read the header.

    Raises:
        UndecodableError: If the bytes are not an image in one of ``FORMATS``. A DICOM file is none, although its first
            bytes may be a TIFF header.
    """
    if data[128:132] == b"DICM":
        raise UndecodableError(convertible_reason(data))
    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
            image_format = "JPEG" if image.format == "MPO" else str(image.format)
            return Header(
                format=image_format,
                mode=image.mode,
                width=image.width,
                height=image.height,
                bits=bits_per_channel(image, data),
                transparent=image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info,
                frames=count_frames(image, image_format),
                orientation=exif_orientation(image),
            )
    except Exception as error:  # a damaged header can make Pillow raise any exception
        raise UndecodableError(reason_unidentified(data, error)) from None


def reason_unidentified(data: bytes, error: Exception) -> str:
    """The rejection reason for bytes whose header could not be read."""
    if isinstance(error, Image.DecompressionBombError):
        return "too large: a decompression bomb"
    if reason := convertible_reason(data):
        return reason
    if isinstance(error, UnidentifiedImageError):
        return NOT_AN_IMAGE
    return "its header is corrupt"


def bits_per_channel(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return data[24]  # in the IHDR chunk; Pillow reports 16-bit colour as 8-bit
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (1,)))  # type: ignore[attr-defined]  # BitsPerSample
    return 8


def count_frames(image: Image.Image, image_format: str) -> int:
    """1, or 2 for two or more.

    A JPEG counts as one: the second picture of a multi-picture JPEG (MPO) is a thumbnail or a gain map.
    """
    if image_format == "TIFF":
        try:
            image.seek(1)  # counting all frames of a damaged file may never end
        except EOFError:
            return 1
        return 2
    return 1 if image_format == "JPEG" else min(2, getattr(image, "n_frames", 1))


def exif_orientation(image: Image.Image) -> int:
    if image.format == "TIFF" or "exif" not in image.info:  # Pillow applies the orientation of a TIFF itself
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # the pixels may be intact although the EXIF block is damaged
        return 1
    return orientation if orientation in range(1, 9) else 1
