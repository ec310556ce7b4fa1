"""Draws the files in ``images``: ``python -m tests.golden.pictures FOLDER``.

The files were written once and are committed, because another version of an encoder may write other bytes. Use this
only to add a file.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GREY_WEIGHTS = (77, 151, 28)


def draw(number: int, height: int = 48, width: int = 40) -> np.ndarray:
    """One smooth colour picture from triangle waves in whole numbers: uint8 RGB of shape (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    planes = [
        sum(abs((x * a + y * b) % (2 * period) - period) * 80 // period for a, b, period in waves(number, channel))
        for channel in range(3)
    ]
    return np.stack(planes, axis=-1).astype(np.uint8)


def waves(number: int, channel: int) -> list[tuple[int, int, int]]:
    """Steps in x and y and the half period of three waves; each number gives another picture."""
    return [(1 + number * k % 5, 1 + (number + k + channel) % 4, 23 + (number * 7 + k * 11) % 40) for k in (1, 2, 3)]


def grey(number: int, height: int = 48, width: int = 40) -> np.ndarray:
    """uint8 (height, width)."""
    return (draw(number, height, width).astype(np.int64) @ np.array(GREY_WEIGHTS) // 256).astype(np.uint8)


def grained(number: int, strength: int) -> np.ndarray:
    """``grey`` with a chequered grain: the larger ``strength``, the lower the correlation with the original."""
    picture = grey(number).astype(np.int64)
    grain = strength * (-1) ** (np.add.outer(np.arange(48) // 4, np.arange(40) // 4))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def encode(pixels: np.ndarray, image_format: str, mode: str = "", **options: Any) -> bytes:
    """The bytes that Pillow writes for uint8 or uint16 pixels, converted to ``mode`` if one is given."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, image_format, **options)
    return buffer.getvalue()


def accepted() -> dict[str, bytes]:
    """Images of two classes with contrast, a normal class and a class without contrast."""
    first = encode(grey(1), "JPEG")
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "Glioma T1/grey.jpg": first,
        "Glioma T1/colour.jpeg": encode(draw(2), "JPEG"),
        "Glioma T1/cmyk.jpg": encode(draw(3), "JPEG", "CMYK"),
        "Glioma T1/near duplicate.png": encode(grained(1, 9), "PNG"),
        "Glioma T1/rotated.jpg": encode(draw(4, 40, 56), "JPEG", exif=turned),
        "Glioma T2/same bytes.jpg": first,
        "Glioma T2/bitmap.bmp": encode(grey(5, 32, 32), "BMP"),
        "Glioma T2/palette.png": encode(draw(6), "PNG", "P"),
        "Glioma T2/slices.tif": encode(grey(7), "TIFF", compression="tiff_lzw"),
        "_NORMAL T1/2022-05-28 10_00_00.png": encode(grey(8), "PNG"),
        "_NORMAL T1/2022-05-28 10_00_50.png": encode(grey(9), "PNG"),
        "_NORMAL T1/2022-05-28 10_03_00.png": encode(grey(10), "PNG"),
        "_NORMAL T1/lossy.webp": encode(draw(11), "WEBP"),
        "_NORMAL T1/really a png.jpg": encode(grey(12), "PNG"),
        "healthy/one.png": encode(draw(13), "PNG"),
        "healthy/two.JPG": encode(grey(14, 64, 64), "JPEG", progressive=True),
        "_NORMAL T1/patient 3/three.png": encode(grey(15), "PNG"),
        "Glioma/T2/contrast folder.png": encode(grey(22), "PNG"),
    }


def rejected() -> dict[str, bytes]:
    """Files that are refused, each for another reason, and the mark that makes an empty class folder."""
    transparent = np.dstack([draw(16), np.full((48, 40), 128, np.uint8)])
    whole, deep = encode(draw(17), "PNG"), grey(18).astype(np.uint16) * 257
    return {
        "Glioma T1/truncated.jpg": encode(draw(19), "JPEG")[:-200],
        "Glioma T2/truncated.png": whole[: len(whole) // 2],
        "Glioma T2/deep.png": encode(deep, "PNG"),
        "_NORMAL T1/transparent.png": encode(transparent, "PNG"),
        "healthy/animation.gif": encode(grey(20), "GIF"),
        "healthy/no image.jpg": b"This is a text.\n",
        "healthy/empty.png": b"",
        "healthy/volume.nii": bytes(344) + b"n+1\0",
        "#recycle/Glioma T1/deleted.png": encode(grey(21), "PNG"),
        "stray.png": encode(grey(21), "PNG"),
        "meningioma/.gitkeep": b"",
    }


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path, data in (accepted() | rejected()).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
