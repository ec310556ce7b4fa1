import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mri_model.data import decode as module
from mri_model.data.decode import Content, content_of, decode, load_content, read_image

SUFFIXES = (".jpg", ".png", ".webp")


def picture(height: int = 80, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, picture())[1].tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_is_identified_and_decoded_to_three_channels(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(encoded(suffix))
    image = read_image(file)
    assert image.reason is None
    assert image.pixels is not None
    assert image.pixels.shape == (80, 64, 3)
    assert (image.n_bytes, image.stored_channels) == (file.stat().st_size, 3)
    assert image.format == {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[suffix]


def test_a_grey_file_says_one_stored_channel_and_decodes_to_three(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "g.jpg"), picture()[:, :, 0])
    image = read_image(tmp_path / "g.jpg")
    assert image.stored_channels == 1
    assert image.pixels is not None
    assert image.pixels.shape == (80, 64, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_image_is_rejected_though_the_decoder_would_fill_it_up(suffix: str, share: float) -> None:
    whole = encoded(suffix)
    image = decode(Content(whole[: int(len(whole) * share)], "x"))
    assert image.pixels is None
    assert image.reason


def test_a_progressive_jpeg_cut_after_its_first_scan_is_truncated() -> None:
    progressive = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode(content_of(progressive)).reason is None
    assert "truncated" in str(decode(content_of(progressive[:-400])).reason)


def test_a_jpeg_that_the_decoder_would_have_to_repair_is_rejected_and_says_so() -> None:
    whole = bytearray(cv2.imencode(".jpg", np.full((80, 64, 3), 90, np.uint8))[1].tobytes())
    middle = whole.rfind(b"\xff\xda") + 20
    whole[middle : middle + 4] = b"\xff\xd5\xff\xd5"
    image = decode(content_of(bytes(whole)))
    assert image.pixels is None
    assert "the decoder had to repair it" in str(image.reason)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, this is no image", "not an image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 99, "header is corrupt"),
        (b"GIF89a" + b"\0" * 99, "GIF"),
        (b"\0" * 128 + b"DICM" + b"\0" * 99, "DICOM"),
    ],
)
def test_what_is_no_image_gets_a_reason(content: bytes, word: str) -> None:
    assert word in str(decode(content_of(content)).reason)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    assert "too large" in str(decode(content_of(encoded(".png")), max_pixels=80 * 64 - 1).reason)


def test_a_vanished_file_and_a_pipe_are_rejected_without_waiting(tmp_path: Path) -> None:
    assert "No such file" in str(read_image(tmp_path / "gone.jpg").reason)
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in str(read_image(tmp_path / "pipe.jpg").reason)


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def smooth() -> Image.Image:
    return Image.fromarray(cv2.GaussianBlur(picture(), (0, 0), 3))


@pytest.mark.parametrize(
    ("mode", "image_format", "stored"),
    [
        ("1", "PNG", 1),
        ("L", "PNG", 1),
        ("P", "PNG", 1),
        ("LA", "PNG", 2),
        ("RGB", "PNG", 3),
        ("RGBA", "PNG", 4),
        ("RGBA", "WEBP", 3),
        ("CMYK", "JPEG", 4),
        ("L", "TIFF", 1),
        ("RGB", "TIFF", 3),
        ("RGBA", "TIFF", 4),
        ("CMYK", "TIFF", 4),
        ("RGB", "BMP", 3),
        ("L", "BMP", 1),
    ],
)
def test_every_opaque_kind_of_image_becomes_the_three_channels_a_viewer_shows(
    mode: str, image_format: str, stored: int
) -> None:
    data = saved(smooth().convert(mode), image_format)
    image = decode(content_of(data))
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1]
    assert image.reason is None
    assert image.pixels is not None
    assert (image.format, image.stored_channels, image.pixels.shape) == (image_format, stored, (80, 64, 3))
    assert np.abs(image.pixels.astype(int) - shown).max() <= 3


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_are_refused_because_what_is_behind_them_is_unknown(image_format: str) -> None:
    image = smooth().convert("RGBA")
    image.putpixel((3, 3), (0, 0, 0, 128))
    assert "transparent" in str(decode(content_of(saved(image, image_format))).reason)


def test_a_palette_with_a_transparent_colour_is_refused() -> None:
    data = saved(smooth().convert("P"), "PNG", transparency=0)
    assert decode(content_of(data)).reason in (None, "it has transparent parts: flatten it")
    black = saved(Image.new("P", (80, 80)), "PNG", transparency=0)
    assert "transparent" in str(decode(content_of(black)).reason)
    grey = saved(Image.new("L", (80, 80), 7), "PNG", transparency=7)
    assert "transparent" in str(decode(content_of(grey)).reason)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_more_than_eight_bits_are_refused_because_a_window_would_have_to_be_guessed(image_format: str) -> None:
    deep = Image.fromarray(np.arange(80 * 64, dtype=np.uint16).reshape(80, 64))
    assert "8 bits" in str(decode(content_of(saved(deep, image_format))).reason)
    colour = cv2.imencode(f".{image_format.lower()}", picture().astype(np.uint16) * 257)[1].tobytes()
    assert "8 bits" in str(decode(content_of(colour)).reason)


def test_floating_point_pixels_are_refused() -> None:
    floating = Image.fromarray(np.random.default_rng(0).random((80, 64)).astype(np.float32))
    assert "8 bits" in str(decode(content_of(saved(floating, "TIFF"))).reason)


@pytest.mark.parametrize("image_format", ["WEBP", "PNG", "TIFF"])
def test_more_than_one_frame_is_refused_because_a_label_names_one_picture(image_format: str) -> None:
    frames = saved(smooth(), image_format, save_all=True, append_images=[ImageOps.mirror(smooth())])
    assert "more than one frame" in str(decode(content_of(frames)).reason)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_viewers_do(image_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(smooth(), image_format, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))[:, :, ::-1]
    pixels = decode(content_of(data)).pixels
    assert pixels is not None
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() <= 3


def test_a_png_whose_checksum_does_not_match_is_corrupt() -> None:
    damaged = bytearray(encoded(".png"))
    damaged[len(damaged) // 2] ^= 1
    assert "checksum" in str(decode(content_of(bytes(damaged))).reason)


def test_a_small_file_that_claims_a_huge_image_is_refused_before_memory_is_taken() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    assert "too large" in str(decode(content_of(bomb)).reason)


def test_a_jpeg_of_thousands_of_scans_is_refused_undecoded() -> None:
    progressive = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last_scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    assert "scans" in str(decode(content_of(progressive[:-2] + last_scan * 2000 + b"\xff\xd9")).reason)


def test_a_file_larger_than_any_image_is_hashed_but_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    (tmp_path / "film.jpg").write_bytes(bytes(1001))
    content = module.load_content(tmp_path / "film.jpg")
    assert (content.data, content.n_bytes, len(content.sha256)) == (b"", 1001, 64)
    assert "too large" in str(content.reason)


def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process writes just before the second look at the file."""
    file, looks = tmp_path / "growing.jpg", iter([lambda: None, lambda: file.write_bytes(bytes(1001))])
    file.write_bytes(bytes(1000))
    look = os.fstat

    def late_look(handle: int) -> os.stat_result:
        next(looks)()
        return look(handle)

    monkeypatch.setattr(os, "fstat", late_look)
    found = module.load_content(file)
    monkeypatch.undo()
    assert "changed while it was read" in str(found.reason)


def test_without_simplejpeg_opencv_gives_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [
        content_of(saved(smooth().convert(mode), "JPEG", quality=quality, subsampling=sub, progressive=progressive))
        for mode in ("L", "RGB")
        for quality in (40, 95)
        for sub in (0, 1, 2)
        for progressive in (False, True)
    ]
    ours = [decode(content).pixels for content in contents]
    monkeypatch.setattr(module, "simplejpeg", None)
    for content, pixels in zip(contents, ours, strict=True):
        assert pixels is not None
        assert np.array_equal(decode(content).pixels, pixels)
    assert "truncated" in str(decode(content_of(contents[-1].data[:-200])).reason)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("image_format", ["JPEG", "TIFF"])
def test_grey_is_the_brightness_of_the_colours(mode: str, image_format: str) -> None:
    content = content_of(saved(smooth().convert(mode), image_format))
    plane, colours = decode(content, grey=True).pixels, decode(content).pixels
    assert plane is not None and colours is not None
    assert plane.shape == (80, 64)
    assert np.abs(plane.astype(int) - cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_BGR2GRAY)).max() <= 3


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "group4"])
def test_a_damaged_tiff_is_rejected_without_a_word_on_stderr(
    compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8))
    file = io.BytesIO()
    (noise.convert("1") if compression == "group4" else noise).save(file, "TIFF", compression=compression)
    damaged = bytearray(file.getvalue())
    for at in range(100, len(damaged) - 300, 97):
        damaged[at] ^= 0xFF
    reason = str(decode(content_of(bytes(damaged))).reason)
    assert reason.startswith("corrupt") or reason == module.DAMAGED
    assert capfd.readouterr().err == ""


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk, after its header."""
    checksum = zlib.crc32(kind + content).to_bytes(4)
    return png[:33] + len(content).to_bytes(4) + kind + content + checksum + png[33:]


@pytest.mark.parametrize("kind", [b"iCCP", b"gAMA", b"tEXt", b"bKGD", b"eXIf"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_png_with_an_odd_chunk_beside_its_pixels_decodes_without_a_word_on_stderr(
    kind: bytes, grey: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7) if grey else (9, 7, 3), dtype=np.uint8)
    png = cv2.imencode(".png", pixels)[1].tobytes()
    image = decode(content_of(with_chunk(png, kind, b"profile\0\0not compressed")))
    assert image.pixels is not None, image.reason
    assert np.array_equal(image.pixels, np.broadcast_to(pixels.reshape(9, 7, -1), (9, 7, 3)))
    assert capfd.readouterr().err == ""


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.png", tmp_path / "link.png"
    target.write_bytes(cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes())
    link.symlink_to(target)
    assert load_content(target).reason is None
    assert load_content(link) == Content(reason="symbolic link")
