"""Ten thousand damaged images give one row each, without a crash, a hang or output on the screen."""

import io
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mri_model.data.decode import content_of, decode
from mri_model.data.formats import FORMATS

N_IMAGES = 10_000
SECONDS = 300

NOISE = re.compile(r"Traceback|Corrupt JPEG|Premature|libpng|\[ *(ERROR|WARN)|.*Warning", re.IGNORECASE)
"""Lines that a damaged file must not print. Messages of libtiff are allowed: Pillow cannot suppress them."""

READ_ALL = """
import sys
from pathlib import Path
from mri_model.data.inventory import take_inventory
take_inventory(Path(sys.argv[1])).frame.to_parquet(sys.argv[2])
"""

Mutation = Callable[[bytearray, random.Random], None]


def encoders() -> Iterator[tuple[str, bytes]]:
    """Extension and bytes of one picture, written by many encoders."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 40, 3), dtype=np.uint8)
    image = Image.fromarray(cv2.GaussianBlur(noise, (0, 0), 2))
    options = [
        ("jpg", "RGB", "JPEG", {}),
        ("jpeg", "L", "JPEG", {"quality": 95}),
        ("jpg", "RGB", "JPEG", {"progressive": True}),
        ("jpg", "RGB", "JPEG", {"quality": 90, "subsampling": 0, "restart_marker_blocks": 2}),
        ("jpg", "CMYK", "JPEG", {}),
        ("png", "RGB", "PNG", {}),
        ("png", "L", "PNG", {}),
        ("png", "P", "PNG", {"transparency": 3}),
        ("png", "LA", "PNG", {}),
        ("png", "RGB", "PNG", {"save_all": True, "append_images": [image.rotate(90, expand=False)]}),
        ("webp", "RGB", "WEBP", {}),
        ("webp", "RGB", "WEBP", {"lossless": True}),
        ("webp", "RGBA", "WEBP", {"save_all": True, "append_images": [image]}),
        ("bmp", "RGB", "BMP", {}),
        ("bmp", "P", "BMP", {}),
        ("tif", "RGB", "TIFF", {}),
        ("tif", "L", "TIFF", {"compression": "tiff_lzw"}),
        ("tif", "RGB", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("tiff", "RGB", "TIFF", {"compression": "jpeg"}),
    ]
    for extension, mode, image_format, more in options:
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, image_format, **more)
        yield extension, buffer.getvalue()


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 2, 8, 64])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def drop(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    del data[start : start + chance.randrange(1, 200)]


def repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    data[start:start] = data[start : start + chance.randrange(1, 200)]


def overwrite(data: bytearray, chance: random.Random) -> None:
    start, length = chance.randrange(len(data)), chance.choice([1, 2, 4, 16])
    data[start : start + length] = chance.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * length


def spoil_header(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(min(64, len(data)))] = chance.randrange(256)


MUTATIONS: tuple[Mutation, ...] = (flip, cut, drop, repeat, overwrite, spoil_header)


def mutated(data: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.choice([1, 1, 2])):
        if spoilt:
            chance.choice(MUTATIONS)(spoilt, chance)
    return bytes(spoilt)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_ten_thousand_damaged_images_give_ten_thousand_rows(tmp_path: Path) -> None:
    chance, originals = random.Random(0), list(encoders())
    folder = tmp_path / "data" / "A"
    folder.mkdir(parents=True)
    for number in range(N_IMAGES):
        extension, data = originals[number % len(originals)]
        (folder / f"{number:05}.{extension}").write_bytes(mutated(data, chance))
    command = [sys.executable, "-c", READ_ALL, str(folder.parent), str(tmp_path / "frame.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if NOISE.match(line)] == []
    frame = pd.read_parquet(tmp_path / "frame.parquet")
    assert len(frame) == N_IMAGES
    rejected = frame["status"] == "rejected"
    assert frame.loc[rejected, "reason"].str.len().gt(0).all()
    assert frame.loc[~rejected, "reason"].isna().all()
    assert 0.3 < rejected.mean() < 0.95
    undamaged = frame.loc[~rejected & frame["format"].isin(["JPEG", "PNG"])]
    assert len(undamaged) < 0.35 * frame["format"].isin(["JPEG", "PNG"]).sum()


@given(st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"II*\0", b""]))
def test_any_bytes_are_read_or_refused_with_a_reason(data: bytes, magic: bytes) -> None:
    image = decode(content_of(magic + data))
    assert (image.pixels is None) == bool(image.reason)


@given(st.sampled_from(list(encoders())), st.integers(0))
def test_what_is_accepted_is_a_three_channel_picture_of_a_known_format(original: tuple[str, bytes], seed: int) -> None:
    image = decode(content_of(mutated(original[1], random.Random(seed))))
    if image.pixels is None:
        assert image.reason
    else:
        assert image.format in FORMATS
        assert image.pixels.dtype == np.uint8
        assert image.pixels.ndim == 3 and image.pixels.shape[2] == 3
