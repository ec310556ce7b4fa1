import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mri_model.data.reading import Content, decode, read_image

SUFFIXES = (".jpg", ".png", ".webp")


def picture(height: int = 80, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, picture())[1].tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_is_identified_and_decoded_to_three_channels(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(encoded(suffix))
    reading = read_image(file)
    assert reading.reason is None
    assert reading.pixels is not None
    assert reading.pixels.shape == (80, 64, 3)
    assert (reading.n_bytes, reading.stored_channels) == (file.stat().st_size, 3)
    assert reading.format == {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[suffix]


def test_a_grey_file_says_one_stored_channel_and_decodes_to_three(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "g.jpg"), picture()[:, :, 0])
    reading = read_image(tmp_path / "g.jpg")
    assert reading.stored_channels == 1
    assert reading.pixels is not None
    assert reading.pixels.shape == (80, 64, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_image_is_rejected_though_the_decoder_would_fill_it_up(suffix: str, share: float) -> None:
    whole = encoded(suffix)
    reading = decode(Content(whole[: int(len(whole) * share)], "x"))
    assert reading.pixels is None
    assert reading.reason


def test_a_progressive_jpeg_cut_after_its_first_scan_is_truncated() -> None:
    progressive = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode(Content(progressive, "x")).reason is None
    assert "truncated" in str(decode(Content(progressive[:-400], "x")).reason)


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"hello, this is no image", "not an image"), (b"\xff\xd8\xff\xe0" + b"\0" * 99, "not an image")],
)
def test_what_is_no_image_gets_a_reason(content: bytes, word: str) -> None:
    assert word in str(decode(Content(content, "x")).reason)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    assert "too large" in str(decode(Content(encoded(".png"), "x"), max_pixels=80 * 64 - 1).reason)


def test_a_vanished_file_and_a_pipe_are_rejected_without_waiting(tmp_path: Path) -> None:
    assert "No such file" in str(read_image(tmp_path / "gone.jpg").reason)
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in str(read_image(tmp_path / "pipe.jpg").reason)
