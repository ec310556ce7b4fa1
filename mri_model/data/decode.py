"""Decode one image file: its SHA-256, format and pixels, or the reason why it is rejected.

Pillow reads the header: format, mode and size. simplejpeg decodes JPEG, because it reports damage that libjpeg repairs.
If simplejpeg is not installed, OpenCV decodes JPEG to the same pixels but does not report repairs. Pillow also decodes
TIFF, because it reports damage; OpenCV decodes the other formats.
"""

import errno
import hashlib
import io
import os
import stat
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mri_model.data.header import STORED_CHANNELS, Header, UndecodableError, identify
from mri_model.data.libtiff import damage_reported
from mri_model.data.listing import LINK

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

DECODE_VERSION = 5
"""Version of everything that is derived from an image: pixels, facts, fingerprints and the reasons to reject it.

Raise it whenever one of these changes: cached facts and pixel stores of older versions are then ignored.
``tests/golden`` fails if it is forgotten."""

MAX_PIXELS = 64_000_000
"""Images with more pixels are rejected without decoding. 64 megapixels take 192 MB; a radiograph has about 10."""

MAX_BYTES = 4 * MAX_PIXELS
"""Larger files are hashed but not loaded into memory: no accepted image is that large."""

MAX_SCANS = 100
"""Scans of a JPEG. A progressive JPEG has about ten, and each costs a pass over all pixels."""

DAMAGED = "truncated or damaged: the decoder had to repair it"

cv2.setNumThreads(1)  # files are decoded in parallel threads; OpenCV's own threads would compete with them
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module="PIL")  # damage is reported as the file's rejection reason


@dataclass(frozen=True)
class DecodedImage:
    """The result of decoding one file.

    Attributes:
        sha256: Of the file's bytes; empty if they could not be read.
        n_bytes: Size of the file.
        format: A key of ``FORMATS``; None if the file is not such an image.
        stored_channels: Number of channels in the file, 1 to 4; None if the format is None.
        pixels: uint8 BGR of shape (height, width, 3), or grey of shape (height, width); None if rejected.
        reason: Why the file was rejected; None if it was accepted.
    """

    sha256: str = ""
    n_bytes: int = 0
    format: str | None = None
    stored_channels: int | None = None
    pixels: np.ndarray | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Content:
    """A file's bytes.

    Attributes:
        data: The bytes; empty if there is nothing to decode.
        sha256: Of the bytes; empty if they could not be read.
        n_bytes: Size of the file.
        reason: Why there is nothing to decode; None if there is.
    """

    data: bytes = b""
    sha256: str = ""
    n_bytes: int = 0
    reason: str | None = None


def load_content(path: Path | bytes) -> Content:
    """Read a file's bytes.

    A file that is missing, unreadable, a link, too large or being written to gives a ``Content`` with a reason.
    """
    try:
        return read_regular_file(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Content(reason=LINK)
        return Content(reason=f"cannot be read: {error.strerror or error}")


def read_regular_file(path: Path | bytes) -> Content:
    """The content of a regular file.

    Raises:
        OSError: If it cannot be read, if it changes during reading, or if it is a link, or a pipe, device or socket
            (reading these may never return).
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise OSError("not a regular file")
        if before.st_size > MAX_BYTES:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Content(b"", digest, before.st_size, f"too large: {before.st_size:,} bytes")
        data = file.read()
        after = os.fstat(handle)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise OSError("it changed while it was read")
    return content_of(data)


def content_of(data: bytes) -> Content:
    """Bytes that are already in memory, as ``Content``."""
    return Content(data, hashlib.sha256(data).hexdigest(), len(data), None if data else "empty file")


def read_image(path: Path) -> DecodedImage:
    """Read and decode one image file. A file that cannot be used gives a result with a reason."""
    return decode(load_content(path))


def decode(content: Content, max_pixels: int = MAX_PIXELS, grey: bool = False) -> DecodedImage:
    """Decode the bytes of a file. Bytes that cannot be used give a result with a reason.

    Args:
        content: The file.
        max_pixels: Images with more pixels are rejected.
        grey: Decode to grey, shape (height, width), instead of BGR.
    """
    image = DecodedImage(content.sha256, content.n_bytes, reason=content.reason)
    if content.reason:
        return image
    try:
        header = identify(content.data)
    except UndecodableError as error:
        return replace(image, reason=str(error))
    image = replace(image, format=header.format, stored_channels=STORED_CHANNELS.get(header.mode, 4))
    try:
        check_header(header, content.data, max_pixels)
        pixels = decode_grey(header, content.data) if grey else decode_pixels(header, content.data)
    except UndecodableError as error:
        return replace(image, reason=str(error))
    return replace(image, pixels=upright(pixels, header.orientation))


def check_header(header: Header, data: bytes, max_pixels: int) -> None:
    """Apply the rules that need no decoding.

    Raises:
        UndecodableError: If one is broken.
    """
    if header.width * header.height > max_pixels:
        raise UndecodableError(f"too large: {header.width}×{header.height} pixels")
    if header.bits > 8 or header.mode.startswith(("I", "F")):
        raise UndecodableError("more than 8 bits a channel: choose a window and export it with 8 bits")
    if header.frames > 1:
        raise UndecodableError("more than one frame: give each picture a file of its own")
    if header.format == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
        raise UndecodableError(f"more than {MAX_SCANS} scans: a decompression bomb")
    if is_truncated(header, data):
        raise UndecodableError("truncated: the end of the image is missing")
    if header.format == "PNG" and not checksums_match(data):
        raise UndecodableError("corrupt: a checksum does not match")


def is_truncated(header: Header, data: bytes) -> bool:
    """Whether the end of the file is missing. Decoders may fill the missing part with grey without an error.

    simplejpeg reports truncation itself. The RIFF header of WebP states the length of the file.
    """
    if header.format == "JPEG" and not simplejpeg:
        return lacks_end_of_image(data)
    if header.format == "PNG":
        return b"IEND" not in data
    if header.format == "WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    return False


def lacks_end_of_image(data: bytes) -> bool:
    """Whether a JPEG has no end-of-image marker after its last start-of-scan marker.

    Scan data cannot contain the bytes of that marker: every 0xFF in it is followed by 0x00 or belongs to a restart
    marker (ITU-T T.81, B.1.1.5).
    """
    return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of each chunk of a PNG up to IEND (PNG specification, 5.3), as far as they are complete."""
    at, kind = 8, b""
    while at + 12 <= len(data) and kind != b"IEND":
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4])
        yield kind, at, end
        at = end


def checksums_match(data: bytes) -> bool:
    """Whether every chunk of a PNG up to IEND matches its CRC-32."""
    chunks = list(png_chunks(data))
    is_whole = bool(chunks) and chunks[-1][0] == b"IEND"
    return is_whole and all(
        zlib.crc32(data[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end]) for _, start, end in chunks
    )


def pixels_only(data: bytes) -> bytes:
    """A PNG without the chunks that do not decide its pixels, such as colour profiles: libpng prints about odd ones.

    Critical chunks have a capital first letter; tRNS holds the transparent colours.
    """
    kept = [data[a:b] for kind, a, b in png_chunks(data) if kind[:1].isupper() or kind == b"tRNS"]
    return b"".join([data[:8], *kept])


def decode_pixels(header: Header, data: bytes) -> np.ndarray:
    """Decode to colour, without applying the EXIF orientation.

    Returns:
        uint8 BGR of shape (height, width, 3). A grey image is a view with stride 0 on the last axis.

    Raises:
        UndecodableError: If the data is damaged or has transparent pixels.
    """
    if header.format == "TIFF":
        return decode_by_pillow(header, data)
    if header.format == "JPEG" and simplejpeg:
        return decode_jpeg(header, data)
    return decode_by_opencv(header, data)


def decode_grey(header: Header, data: bytes) -> np.ndarray:
    """Decode to grey, without applying the EXIF orientation.

    Returns:
        uint8 of shape (height, width): the luma channel of a JPEG that has one, otherwise ITU-R BT.601 luma.

    Raises:
        UndecodableError: If the data is damaged or has transparent pixels.
    """
    if header.format == "JPEG" and header.mode in ("L", "RGB") and simplejpeg:
        return decode_jpeg(header, data, "GRAY")[:, :, 0]
    return to_grey(decode_pixels(header, data))


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 luma: uint8 BGR (height, width, 3) → uint8 (height, width)."""
    if pixels.strides[2] == 0:  # a view of one channel
        return np.ascontiguousarray(pixels[:, :, 0])
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGR2GRAY)


def decode_jpeg(header: Header, data: bytes, space: str = "") -> np.ndarray:
    """Decode a JPEG with simplejpeg, to the colour space that its mode asks for or to ``space``.

    Raises:
        UndecodableError: If the decoder reports damage.
    """
    space = space or {"L": "GRAY", "CMYK": "CMYK"}.get(header.mode, "BGR")
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace=space, strict=True)
    except ValueError as error:
        if "subsampling" in str(error) and not lacks_end_of_image(data):  # valid, but TurboJPEG does not support it
            return decode_by_pillow(header, data)
        raise UndecodableError(f"{DAMAGED} ({error})") from None
    if space == "CMYK":
        return decode_by_opencv(header, data)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def decode_by_pillow(header: Header, data: bytes) -> np.ndarray:
    """uint8 BGR of shape (height, width, 3). Raises UndecodableError if damaged or transparent."""
    try:
        with damage_reported() as damage, Image.open(io.BytesIO(data), formats=[header.format]) as image:
            if header.transparent and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise UndecodableError("it has transparent parts: flatten it")
            pixels = np.asarray(image.convert("RGB"))[:, :, ::-1]
    except UndecodableError:
        raise
    except Exception:
        raise UndecodableError(f"corrupt: cannot be decoded as {header.format}") from None
    if damage:
        raise UndecodableError(DAMAGED)
    return pixels


def decode_by_opencv(header: Header, data: bytes) -> np.ndarray:
    """uint8 BGR of shape (height, width, 3). Raises UndecodableError if damaged or transparent."""
    kind = cv2.IMREAD_UNCHANGED if header.transparent else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    data = pixels_only(data) if header.format == "PNG" else data
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), kind)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UndecodableError(f"corrupt: cannot be decoded as {header.format}")
    if header.transparent and (pixels.ndim == 2 or pixels.shape[2] == 3):  # OpenCV ignores the transparent colour
        return decode_by_pillow(header, data)
    if pixels.ndim == 2:
        return np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3))
    if pixels.shape[2] == 4 and int(pixels[:, :, 3].min()) < 255:
        raise UndecodableError("it has transparent parts: flatten it")
    return pixels[:, :, :3]


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply the EXIF orientation, 1 to 8 (Exif 2.32, 4.6.4 A), as image viewers do."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
