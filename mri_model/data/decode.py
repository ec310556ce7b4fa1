"""One file in, one image out: identity, facts, pixels, or the reason why there are none.

Pillow identifies (format, mode, size, before a pixel is decoded). simplejpeg decodes JPEG, because it reports what
libjpeg had to repair; where it is not installed OpenCV does, to the same pixels, but repairs in silence. Pillow decodes
TIFF for the same reason, OpenCV the rest.
"""

import hashlib
import io
import math
import os
import stat
import threading
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from mri_model.data.formats import FORMATS

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

DECODE_VERSION = 1
"""Version of what is found out about an image: its facts, its thumbnail and the reasons to reject it.

Raise it whenever one of these changes: cached facts of older versions are then ignored. ``tests/golden`` fails if it
is forgotten."""

MAX_PIXELS = 64_000_000
"""Images that claim more are refused undecoded: 64 megapixels are 192 MB, a radiograph has about 10."""

MAX_BYTES = 4 * MAX_PIXELS
"""Files larger than any image that is read are hashed but never held in memory."""

MAX_SCANS = 100
"""A progressive JPEG has about ten scans; each costs a pass over all pixels, so thousands are a bomb."""

CHANNELS = {"1": 1, "L": 1, "P": 1, "I": 1, "F": 1, "I;16": 1, "I;16B": 1, "LA": 2, "PA": 2, "RGB": 3, "YCbCr": 3}

THUMBNAIL_SIZE = 64
"""Height and width of a thumbnail, pixels."""

CONVERTIBLE = ("a DICOM file", "a GIF")
"""How the reasons begin that say what to do, whatever the extension is."""

DAMAGED = "truncated or damaged: the decoder had to repair it"

cv2.setNumThreads(1)  # files are read in threads of ours; OpenCV's own would only get in their way
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module="PIL")  # damage becomes a reason in a row, not a line on the screen


@dataclass(frozen=True)
class DecodedImage:
    """What one file turned out to be.

    ``pixels`` is uint8 BGR of shape (height, width, 3), or (height, width) where grey was asked for; None where the
    file was rejected: then ``reason`` says why.
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
    """A file's bytes and their SHA-256; ``reason`` where there is nothing to decode (then ``data`` is empty)."""

    data: bytes = b""
    sha256: str = ""
    n_bytes: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Header:
    """What an image says of itself before it is decoded; ``orientation`` is EXIF's, 1 to 8."""

    format: str
    mode: str
    width: int
    height: int
    bits: int
    transparent: bool
    frames: int
    orientation: int


class Local(threading.local):
    """Memory a thread uses again for each file: fresh megabytes from the system would cost as much as the sums."""

    def __init__(self) -> None:
        self.sums = np.empty(0, np.int32)


LOCAL = Local()


class UndecodableError(ValueError):
    """Why an image's content cannot be used."""


def load_content(path: Path | bytes) -> Content:
    """Read a file's bytes. Never raises for what its permissions, its size, its disappearance or a writer can cause."""
    try:
        return read_regular_file(path)
    except OSError as error:
        return Content(reason=f"cannot be read: {error.strerror or error}")


def read_regular_file(path: Path | bytes) -> Content:
    """The content of a regular file; OSError for pipes, devices and sockets, which could block for ever, and for a file
    that is written to meanwhile."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
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
    return Content(data, hashlib.sha256(data).hexdigest(), len(data), None if data else "empty file")


def read_image(path: Path) -> DecodedImage:
    """Read and decode one image file once. Never raises for what a file's content or permissions can cause."""
    return decode(load_content(path))


def decode(content: Content, max_pixels: int = MAX_PIXELS, grey: bool = False) -> DecodedImage:
    """Identify and decode loaded bytes, to colour or to ``grey``. Never raises for what they hold."""
    image = DecodedImage(content.sha256, content.n_bytes, reason=content.reason)
    if content.reason:
        return image
    try:
        header = identify(content.data)
    except UndecodableError as error:
        return replace(image, reason=str(error))
    image = replace(image, format=header.format, stored_channels=CHANNELS.get(header.mode, 4))
    try:
        refuse(header, content.data, max_pixels)
        pixels = decode_grey(header, content.data) if grey else decode_pixels(header, content.data)
    except UndecodableError as error:
        return replace(image, reason=str(error))
    return replace(image, pixels=upright(pixels, header.orientation))


def identify(data: bytes) -> Header:
    """Read the header. Raises UndecodableError where the bytes are no image that is read here."""
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
    except Exception as error:  # Pillow's parsers raise whatever a damaged header leads them to
        raise UndecodableError(describe_stranger(data, error)) from None


def describe_stranger(data: bytes, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too large: a decompression bomb"
    if data[128:132] == b"DICM":
        return f"{CONVERTIBLE[0]}: export it as an 8-bit PNG or JPEG"
    if data[:4] == b"GIF8":
        return f"{CONVERTIBLE[1]}: convert it to PNG"
    if isinstance(error, UnidentifiedImageError):
        return "not an image (JPEG, PNG, WebP, BMP or TIFF), or its header is corrupt"
    return "its header is corrupt"


def bits_per_channel(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return data[24]  # IHDR; Pillow shows 16-bit colour as 8-bit
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (1,)))  # type: ignore[attr-defined]  # BitsPerSample
    return 8


def count_frames(image: Image.Image, image_format: str) -> int:
    """1, or 2 for two and more. The second picture of a JPEG (MPO) is a thumbnail or a gain map, and does not count."""
    if image_format == "TIFF":
        try:
            image.seek(1)  # counting them all could take for ever
        except EOFError:
            return 1
        return 2
    return 1 if image_format == "JPEG" else min(2, getattr(image, "n_frames", 1))


def exif_orientation(image: Image.Image) -> int:
    if image.format == "TIFF" or "exif" not in image.info:  # Pillow turns a TIFF upright as it decodes it
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return 1
    return orientation if orientation in range(1, 9) else 1


def refuse(header: Header, data: bytes, max_pixels: int) -> None:
    """Raise UndecodableError for what the rules refuse before a pixel is decoded."""
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
    if header.format == "PNG" and not checksums_hold(data):
        raise UndecodableError("corrupt: a checksum does not match")


def is_truncated(header: Header, data: bytes) -> bool:
    """Whether the end is missing, which a decoder may fill with grey and say nothing.

    simplejpeg sees it by itself. The RIFF header of WebP states the length of the file.
    """
    if header.format == "JPEG" and not simplejpeg:
        return lacks_end_of_image(data)
    if header.format == "PNG":
        return b"IEND" not in data
    if header.format == "WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    return False


def lacks_end_of_image(data: bytes) -> bool:
    """Whether a JPEG stops before its end: inside scan data every 0xFF is stuffed or a restart marker (ITU-T T.81,
    B.1.1.5), so after the last start of scan an end-of-image marker is the real one."""
    return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def checksums_hold(data: bytes) -> bool:
    """Whether each chunk of a PNG, up to its end, matches its CRC-32 (PNG specification, 5.3)."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def decode_pixels(header: Header, data: bytes) -> np.ndarray:
    """uint8 BGR (height, width, 3) as stored, not yet turned upright. Raises UndecodableError."""
    if header.format == "TIFF":
        return decode_by_pillow(header, data)
    if header.format == "JPEG" and simplejpeg:
        return decode_jpeg(header, data)
    return decode_by_opencv(header, data)


def decode_grey(header: Header, data: bytes) -> np.ndarray:
    """uint8 (height, width) as stored; a JPEG's own brightness channel, where it has one, else ITU-R BT.601 luma."""
    if header.format == "JPEG" and header.mode in ("L", "RGB") and simplejpeg:
        return decode_jpeg(header, data, "GRAY")[:, :, 0]
    pixels = decode_pixels(header, data)
    if pixels.strides[2] == 0:  # one stored channel, shown three times
        return np.ascontiguousarray(pixels[:, :, 0])
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_BGR2GRAY)


def decode_jpeg(header: Header, data: bytes, space: str = "") -> np.ndarray:
    space = space or {"L": "GRAY", "CMYK": "CMYK"}.get(header.mode, "BGR")
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace=space, strict=True)
    except ValueError as error:
        if "subsampling" in str(error) and not lacks_end_of_image(data):  # sound, but unknown to TurboJPEG
            return decode_by_pillow(header, data)
        raise UndecodableError(f"{DAMAGED} ({error})") from None
    if space == "CMYK":
        return decode_by_opencv(header, data)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def decode_by_pillow(header: Header, data: bytes) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=[header.format]) as image:
            if header.transparent and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
                raise UndecodableError("it has transparent parts: flatten it")
            return np.asarray(image.convert("RGB"))[:, :, ::-1]
    except UndecodableError:
        raise
    except Exception:
        raise UndecodableError(f"corrupt: cannot be decoded as {header.format}") from None


def decode_by_opencv(header: Header, data: bytes) -> np.ndarray:
    kind = cv2.IMREAD_UNCHANGED if header.transparent else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), kind)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UndecodableError(f"corrupt: cannot be decoded as {header.format}")
    if header.transparent and (pixels.ndim == 2 or pixels.shape[2] == 3):  # a transparent grey that OpenCV overlooks
        return decode_by_pillow(header, data)
    if pixels.ndim == 2:
        return np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3))
    if pixels.shape[2] == 4 and int(pixels[:, :, 3].min()) < 255:
        raise UndecodableError("it has transparent parts: flatten it")
    return pixels[:, :, :3]


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turned as EXIF's orientation tag asks (Exif 2.32, 4.6.4 A), the way every viewer shows it."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def means(sums: np.ndarray, n_pixels: int) -> np.ndarray:
    """uint8 means from ``cell_sums`` of a plane of ``n_pixels``, rounded half up."""
    return ((sums + n_pixels // 2) // n_pixels).astype(np.uint8)


def cell_sums(plane: np.ndarray) -> np.ndarray:
    """int64 (64, 64): sums of a grey plane's values in equal cells, which cut pixels where they must, times 64².

    From the integral image (Crow 1984), whose linear interpolation is exact for pixels of constant value; in whole
    numbers, so that every machine finds the same.
    """
    depth, dtype = (cv2.CV_32S, np.int32) if plane.size < 1 << 23 else (cv2.CV_64F, np.float64)
    shape = (plane.shape[0] + 1, plane.shape[1] + 1)
    size = math.prod(shape)
    if LOCAL.sums.size < size or LOCAL.sums.dtype != dtype:
        LOCAL.sums = np.empty(size, dtype)
    sums = cv2.integral(plane, sum=LOCAL.sums[:size].reshape(shape), sdepth=depth)
    return np.diff(np.diff(at_edges(at_edges(sums).T).T, axis=0), axis=1)


def at_edges(sums: np.ndarray) -> np.ndarray:
    """Rows of cumulative sums at 65 evenly spread edges, times 64; int64."""
    whole, part = np.divmod(np.arange(THUMBNAIL_SIZE + 1) * (len(sums) - 1), THUMBNAIL_SIZE)
    after = np.minimum(whole + 1, len(sums) - 1)
    return (
        sums[whole].astype(np.int64) * (THUMBNAIL_SIZE - part)[:, None] + sums[after].astype(np.int64) * part[:, None]
    )
