"""The size that a compressed image states itself, read before memory is taken for it."""

from typing import NamedTuple

START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""JPEG markers that begin a frame header (ITU-T T.81, table B.1); 0xF7 is that of JPEG-LS (ITU-T T.87)."""

EXTENDED = 0xC1

ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG markers without a length."""

JPEG_2000 = b"\xff\x4f\xff\x51"
"""Start of a JPEG 2000 codestream and of its size segment (ITU-T T.800, A.5.1)."""


class Codestream(NamedTuple):
    """What a compressed image states.

    Attributes:
        size: Height and width in pixels.
        is_extended: Whether it is a JPEG of the extended process with 12 bits, which no free decoder here reads.
    """

    size: tuple[int, int]
    is_extended: bool = False


def read_codestream(data: bytes) -> Codestream | None:
    """What a JPEG, JPEG-LS or JPEG 2000 image states; None for other data.

    >>> read_codestream(bytes.fromhex("ffd8 ffc0 0011 08 0040 0020 03")).size
    (64, 32)
    """
    at = data.find(JPEG_2000, 0, 1024)
    if at >= 0:
        width, height, left, top = (int.from_bytes(data[at + start : at + start + 4]) for start in (8, 12, 16, 20))
        return Codestream((height - top, width - left))
    return read_jpeg(data) if data[:2] == b"\xff\xd8" else None


def read_jpeg(data: bytes) -> Codestream | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in START_OF_FRAME:
            size = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            return Codestream(size, marker == EXTENDED and data[at + 4] > 8)
        if marker == 0xFF:
            at += 1
        else:
            at += 2 if marker in ALONE else 2 + max(int.from_bytes(data[at + 2 : at + 4]), 2)
    return None
