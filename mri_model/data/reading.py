"""One file in, one reading out: identity, facts, pixels, or the reason why there are none.

Pillow identifies (format, stored channels, size, before a pixel is decoded); OpenCV decodes to three channels.
"""

import hashlib
import io
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
"""Images that claim more are refused undecoded: 64 megapixels are 192 MB, a radiograph has about 10."""

CHANNELS = {"1": 1, "L": 1, "P": 1, "I": 1, "F": 1, "I;16": 1, "LA": 2, "PA": 2, "RGB": 3, "YCbCr": 3}


@dataclass(frozen=True)
class Reading:
    """What one file turned out to be.

    ``pixels`` is uint8 BGR of shape (height, width, 3), None where the file was rejected; then ``reason`` says why.
    ``sha256`` is empty only where the bytes could not be read at all.
    """

    sha256: str = ""
    n_bytes: int = 0
    format: str | None = None
    stored_channels: int | None = None
    pixels: np.ndarray | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Content:
    """A file's bytes and their SHA-256; ``reason`` where they could not be read (then both are empty)."""

    data: bytes = b""
    sha256: str = ""
    reason: str | None = None


def load_content(path: Path) -> Content:
    """Read a file's bytes. Never raises for what its permissions or its disappearance can cause."""
    try:
        data = read_regular_file(path)
    except OSError as error:
        return Content(reason=f"cannot be read: {error.strerror or error}")
    return Content(data, hashlib.sha256(data).hexdigest())


def read_image(path: Path) -> Reading:
    """Read and decode one image file once. Never raises for what a file's content or permissions can cause."""
    return decode(load_content(path))


def decode(content: Content, max_pixels: int = MAX_PIXELS) -> Reading:
    """Identify and decode loaded bytes."""
    reading = Reading(content.sha256, len(content.data), reason=content.reason)
    if content.reason:
        return reading
    if not content.data:
        return replace(reading, reason="empty file")
    try:
        image_format, channels, size = identify(content.data)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return replace(reading, reason="not an image, or its header is corrupt")
    reading = replace(reading, format=image_format, stored_channels=channels)
    if size[0] * size[1] > max_pixels:
        return replace(reading, reason=f"too large: {size[0]}×{size[1]} pixels")
    if is_truncated(content.data, image_format):
        return replace(reading, reason="truncated: the end of the image is missing")
    try:
        pixels = cv2.imdecode(np.frombuffer(content.data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        return replace(reading, reason=f"corrupt: cannot be decoded as {image_format}")
    return replace(reading, pixels=pixels)


def read_regular_file(path: Path) -> bytes:
    """The bytes of a regular file; OSError for pipes, devices and sockets, which could block for ever."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("not a regular file")
        return file.read()


def identify(content: bytes) -> tuple[str, int, tuple[int, int]]:
    """Format, stored channels and (width, height) from the header alone."""
    with Image.open(io.BytesIO(content)) as image:
        return str(image.format), CHANNELS.get(image.mode, 4), image.size


def is_truncated(content: bytes, image_format: str) -> bool:
    """Whether the end is missing. Decoders fill what is missing with grey and say nothing, so look for the end.

    Inside JPEG scan data every 0xFF is stuffed or a restart marker (ITU-T T.81, B.1.1.5): after the last start of
    scan, an end-of-image marker is the real one. The RIFF header of WebP states the length of the file.
    """
    if image_format == "JPEG":
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if image_format == "PNG":
        return b"IEND" not in content[-64:]
    if image_format == "WEBP":
        return len(content) < int.from_bytes(content[4:8], "little") + 8
    return False


def thumbnail(pixels: np.ndarray, side: int = 64) -> np.ndarray:
    """Grey uint8 thumbnail of shape (side, side), by area averaging."""
    return cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), (side, side), interpolation=cv2.INTER_AREA)
