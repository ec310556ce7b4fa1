"""Every image of a manifest decoded and resized once, kept as uint8 on disk and mapped into memory."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mri_model.data.decode import read_image
from mri_model.data.manifest import Manifest
from mri_model.data.parallel import ordered_map
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress, with_progress


@dataclass(frozen=True)
class PixelStore:
    """Pixels of a manifest's accepted rows, by position in ``manifest.frame``.

    ``grey`` is uint8 (rows, size, size); where an image's three channels differ anywhere, ``colour_at`` (int32, else
    −1) points into ``colour``, uint8 (images in colour, 3, size, size).
    """

    grey: np.ndarray
    colour: np.ndarray
    colour_at: np.ndarray

    def batch(self, positions: np.ndarray) -> torch.Tensor:
        """uint8 RGB (n, 3, size, size) of the rows at ``positions``."""
        planes = np.repeat(self.grey[positions][:, None], 3, axis=1)
        at = self.colour_at[positions]
        planes[at >= 0] = self.colour[at[at >= 0]]
        return torch.from_numpy(planes)

    @property
    def n_bytes(self) -> int:
        return self.grey.nbytes + self.colour.nbytes


class ResidentPixels:
    """A pixel store in the memory of a device, where its batches are put together."""

    def __init__(self, pixels: PixelStore, device: torch.device) -> None:
        self.grey = torch.from_numpy(np.array(pixels.grey)).to(device)
        self.colour = torch.from_numpy(np.array(pixels.colour)).to(device)
        self.colour_at = torch.from_numpy(pixels.colour_at.astype(np.int64)).to(device)

    def batch(self, positions: np.ndarray) -> torch.Tensor:
        """uint8 RGB (n, 3, size, size) of the rows at ``positions``, on the device."""
        rows = torch.from_numpy(positions).to(self.grey.device)
        at = self.colour_at[rows]
        planes = self.grey[rows][:, None].repeat(1, 3, 1, 1)
        return (
            torch.where((at >= 0).view(-1, 1, 1, 1), self.colour[at.clamp_min(0)], planes)
            if len(self.colour)
            else planes
        )


def nearest_pixels(pixels: PixelStore, device: torch.device, share: float = 0.5) -> PixelStore | ResidentPixels:
    """The store in the device's memory where it takes at most ``share`` of what is free there, else as it is."""
    if device.type != "cuda" or pixels.n_bytes > share * torch.cuda.mem_get_info(device)[0]:
        return pixels
    return ResidentPixels(pixels, device)


def pack_pixels(
    manifest: Manifest, preprocessing: Preprocessing, pixels: Path, progress: ProgressCallback = no_progress
) -> PixelStore:
    """The pixel store of a manifest at a size, made if it is not there yet.

    Raises MriError where a file is missing or is no longer the one that was ingested.
    """
    folder = pixels / f"{manifest.digest}-{preprocessing.size}-{preprocessing.resize}"
    try:
        return open_pixels(folder)
    except (OSError, ValueError):  # not there yet, or damaged: it can always be made again
        shutil.rmtree(folder, ignore_errors=True)
    pixels.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=pixels))
    try:
        decode_all(manifest, preprocessing, temporary, progress)
        move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return open_pixels(folder)


def open_pixels(folder: Path) -> PixelStore:
    grey = np.load(folder / "grey.npy", mmap_mode="r")
    colour_at = np.load(folder / "colour_at.npy")
    shape = (int(colour_at.max(initial=-1)) + 1, 3, *grey.shape[1:])
    raw = folder / "colour.bin"
    colour = np.memmap(raw, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)
    return PixelStore(grey, colour, colour_at)


def move_into_place(temporary: Path, folder: Path) -> None:
    """Rename; where another process was quicker its store stands, which holds the same bytes."""
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def decode_all(manifest: Manifest, preprocessing: Preprocessing, folder: Path, progress: ProgressCallback) -> None:
    rows = manifest.frame
    shape = (len(rows), preprocessing.size, preprocessing.size)
    grey = np.lib.format.open_memmap(folder / "grey.npy", "w+", np.uint8, shape)
    colour_at = np.full(len(rows), -1, np.int32)
    positions = np.flatnonzero(rows["status"] == "ok")
    n_colour = 0

    def decode(position: int) -> np.ndarray:
        row = rows.iloc[position]
        return preprocessing.shrink(read_ingested(manifest.root, row["path"], row["sha256"]))

    with (folder / "colour.bin").open("wb") as colour:
        planes = with_progress(ordered_map(decode, positions.tolist()), len(positions), "decode", progress)
        for position, plane in zip(positions, planes, strict=True):
            grey[position] = plane[0]
            if (plane != plane[0]).any():
                colour.write(plane.tobytes())
                colour_at[position] = n_colour
                n_colour += 1
    grey.flush()
    np.save(folder / "colour_at.npy", colour_at)


def read_ingested(root: Path, path: str, sha256: str) -> np.ndarray:
    """Pixels of a file that must still be the one the manifest knows: uint8 BGR (height, width, 3)."""
    image = read_image(root / path)
    if image.sha256 != sha256 or image.pixels is None:
        what = image.reason if not image.sha256 else "has changed since it was ingested"
        raise MriError(f"{root / path} {what}", "bring the file back, or run: mri ingest DATA")
    return image.pixels
