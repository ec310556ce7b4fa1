"""A phantom: drawn brain MRI images, to try the whole system without images of patients.

``write_phantom`` fills 44 class folders, named and shaped like the published set: axial heads in three contrasts,
fourteen tumor types that differ by place, shape, texture and enhancement, and a few near duplicates, as real data sets
have them. An image depends on (seed, class, index), never on order or threads.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mri_model.data.drawn_head import SIGNATURES, Rng, Signature, draw
from mri_model.data.labels import CONTRASTS
from mri_model.data.parallel import ordered_map
from mri_model.errors import MriError
from mri_model.files import atomic
from mri_model.progress import ProgressCallback, no_progress, with_progress

Pixels = NDArray[Any]  # (height, width) uint8

MIN_HEIGHT, MIN_WIDTH, MAX_SIDE = 347, 305, 630
CANVAS = 256  # images are drawn with this longest side, then enlarged
COPY_EVERY = 6  # one image in six is a near duplicate
DUPLICATE_CLASS = 24  # the class that holds one byte-identical pair
FIRST_SERIES = datetime(2022, 5, 28, 10, 56)


CLASSES = tuple(
    sorted(
        [(f"{s.tumor} {contrast}", s, contrast) for s in SIGNATURES for contrast in CONTRASTS]
        + [(f"_NORMAL {contrast}", None, contrast) for contrast in ("T1", "T2")],
        key=lambda entry: entry[0],
    )
)


def _size(rng: Rng, max_side: int) -> tuple[int, int]:
    """Height and width of a file: half of the files are square with the largest side, the rest vary within bounds."""
    top = max_side if max_side >= MIN_HEIGHT else MAX_SIDE
    height, width = top, top
    if rng.random() < 0.5:
        height = int(rng.integers(MIN_HEIGHT, top + 1))
        width = int(np.clip(height * rng.uniform(0.75, 1.1), MIN_WIDTH, top))
    return round(height * max_side / top), round(width * max_side / top)


def _picture(rng: Rng, sign: Signature | None, contrast: str, max_side: int) -> Pixels:
    """One image at its final size."""
    height, width = _size(rng, max_side)
    reduce = min(1.0, CANVAS / max(height, width))
    drawn = draw(rng, sign, contrast, (round(height * reduce), round(width * reduce)))
    pixels = np.rint(drawn * 255).astype(np.uint8)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)


def _next_slice(rng: Rng, pixels: Pixels) -> Pixels:
    """A near duplicate: the same head, slightly shifted and slightly brighter or darker."""
    height, width = pixels.shape
    shift_x, shift_y = rng.uniform(-0.004, 0.004, 2) * (width, height)
    move = np.array([[1, 0, shift_x], [0, 1, shift_y]], np.float32)
    moved = cv2.warpAffine(pixels, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return cv2.convertScaleAbs(moved, alpha=rng.uniform(0.94, 1.05), beta=rng.uniform(0, 4))


def _encode(rng: Rng, pixels: Pixels, suffix: str) -> bytes:
    """The bytes of a file: over half with one channel, the rest with three, a few of them slightly tinted."""
    stored, storage = pixels, rng.random()
    if storage > 0.54:
        tint = rng.uniform(0.82, 1.0, 3) if storage > 0.97 else np.ones(3)
        stored = cv2.merge([cv2.convertScaleAbs(pixels, alpha=float(gain)) for gain in tint])
    quality = cv2.IMWRITE_WEBP_QUALITY if suffix == ".webp" else cv2.IMWRITE_JPEG_QUALITY
    done, data = cv2.imencode(suffix.lower(), stored, [quality, int(rng.integers(78, 95))])
    if not done:
        raise MriError(f"OpenCV could not encode a {suffix} file", "reinstall opencv-python-headless")
    return data.tobytes()


@dataclass(frozen=True)
class _Job:
    """One file to write. ``origin`` is the index of the image that it repeats; its own index if it repeats none."""

    c: int  # index in CLASSES
    i: int  # index within the class
    origin: int
    series: bool

    @property
    def name(self) -> str:
        if self.series:  # screenshots of a series are a second apart, series at least minutes
            start = FIRST_SERIES + timedelta(days=self.c, minutes=5 * self.origin, seconds=self.i - self.origin)
            return f"{start:%Y-%m-%d %H_%M_%S}-phantom.jpg"
        if (self.c, self.i) == (0, 0):
            return "phantom_0000.webp"
        roll = (7 * self.c + 3 * self.i) % 20
        return f"phantom_{self.i:04d}" + (".JPG" if roll == 0 else ".jpg" if roll < 4 else ".jpeg")

    @property
    def repeats_bytes(self) -> bool:
        """Whether the file is a copy of its origin, byte for byte. One file of the set is."""
        return self.c == DUPLICATE_CLASS and self.origin != self.i == COPY_EVERY - 1

    def data(self, seed: int, max_side: int) -> bytes:
        _, sign, contrast = CLASSES[self.c]
        first, own = (np.random.default_rng([seed, self.c, k]) for k in (self.origin, self.i))
        pixels = _picture(first, sign, contrast, max_side)
        if self.origin == self.i or self.repeats_bytes:
            return _encode(first, pixels, Path(self.name).suffix)
        return _encode(own, _next_slice(own, pixels), Path(self.name).suffix)


def _jobs(per_class: int) -> list[_Job]:
    """Every file of the set. From eight images per class on, each sixth is a near duplicate of the one before."""
    copies = {i for i in range(per_class) if per_class >= 8 and i % COPY_EVERY == COPY_EVERY - 1}
    return [
        _Job(c, i, i - 1 if i in copies else i, series=i in copies or i + 1 in copies)
        for c in range(len(CLASSES))
        for i in range(per_class)
    ]


def refuse_filled(out: Path) -> None:
    """Raise an MriError if ``out`` is a file or a folder with files."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MriError(f"{out} exists and is not an empty folder", "choose a new folder, or empty this one first")


def _refuse_bad(out: Path, per_class: int, max_side: int) -> None:
    refuse_filled(out)
    if per_class < 1:
        raise MriError(f"{per_class} images per class make no data set", "choose at least 1; 20 are enough to train on")
    if not 32 <= max_side <= MAX_SIDE:
        raise MriError(f"images of {max_side} pixels cannot be drawn", f"choose 32 to {MAX_SIDE}")


def write_phantom(
    out: Path,
    per_class: int = 20,
    seed: int = 0,
    max_side: int = MAX_SIDE,
    progress: ProgressCallback = no_progress,
) -> int:
    """Write the 44 class folders.

    Args:
        out: A new or empty folder.
        per_class: Images in each class.
        seed: The same seed gives the same bytes.
        max_side: Largest height and width in pixels, 32 to 630. Below 347, for quick tests, all sizes are reduced in
            proportion and do not fit the profile ``phantom``.
        progress: Progress callback.

    Returns:
        The number of files.

    Raises:
        MriError: ``out`` is not empty, or a number is out of range.
    """
    _refuse_bad(out, per_class, max_side)
    jobs = _jobs(per_class)

    def write(job: _Job) -> None:
        with atomic(out / CLASSES[job.c][0] / job.name) as temporary:
            temporary.write_bytes(job.data(seed, max_side))

    written = ordered_map(write, jobs, threads=min(4, os.cpu_count() or 1), items_per_task=1)
    for _ in with_progress(written, len(jobs), "draw", progress):
        pass
    return len(jobs)
