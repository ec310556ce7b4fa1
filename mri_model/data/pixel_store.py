"""All images of a manifest, decoded and resized once, as memory-mapped uint8 files."""

import shutil
import tempfile
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mri_model.data.cache import cache_key
from mri_model.data.decode import decode, load_content
from mri_model.data.manifest import Manifest, image_file, slice_of
from mri_model.data.medical.pictures import decode_slices
from mri_model.data.parallel import ordered_map
from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.progress import ProgressCallback, no_progress, with_progress


@dataclass(frozen=True)
class PixelStore:
    """Pixels of the accepted images of a manifest, by position in ``manifest.frame``.

    Attributes:
        grey: First channel of every image, uint8 of shape (rows, size, size). It is the whole image if the three
            channels are equal.
        colour: Images whose channels differ, uint8 RGB of shape (n, 3, size, size).
        colour_at: Position of each image in ``colour``, -1 for grey images; int32 of shape (rows,).
    """

    grey: np.ndarray
    colour: np.ndarray
    colour_at: np.ndarray

    def batch(self, positions: np.ndarray) -> torch.Tensor:
        """Images at ``positions`` (n,): uint8 RGB of shape (n, 3, size, size)."""
        planes = np.repeat(self.grey[positions][:, None], 3, axis=1)
        at = self.colour_at[positions]
        planes[at >= 0] = self.colour[at[at >= 0]]
        return torch.from_numpy(planes)

    @property
    def n_bytes(self) -> int:
        """Size of all pixels."""
        return self.grey.nbytes + self.colour.nbytes


class ResidentPixels:
    """A pixel store that was copied to the memory of a device, where batches are assembled."""

    def __init__(self, pixels: PixelStore, device: torch.device) -> None:
        self.grey = torch.from_numpy(np.array(pixels.grey)).to(device)
        self.colour = torch.from_numpy(np.array(pixels.colour)).to(device)
        self.colour_at = torch.from_numpy(pixels.colour_at.astype(np.int64)).to(device)

    def batch(self, positions: np.ndarray) -> torch.Tensor:
        """Images at ``positions`` (n,): uint8 RGB of shape (n, 3, size, size), on the device."""
        rows = torch.from_numpy(positions).to(self.grey.device)
        at = self.colour_at[rows]
        planes = self.grey[rows][:, None].repeat(1, 3, 1, 1)
        return (
            torch.where((at >= 0).view(-1, 1, 1, 1), self.colour[at.clamp_min(0)], planes)
            if len(self.colour)
            else planes
        )


def nearest_pixels(pixels: PixelStore, device: torch.device, fraction: float = 0.5) -> PixelStore | ResidentPixels:
    """Copy the store to a CUDA device if it takes at most ``fraction`` of the free memory there."""
    if device.type != "cuda" or pixels.n_bytes > fraction * torch.cuda.mem_get_info(device)[0]:
        return pixels
    return ResidentPixels(pixels, device)


def pack_pixels(
    manifest: Manifest, preprocessing: Preprocessing, pixels: Path, progress: ProgressCallback = no_progress
) -> PixelStore:
    """Open the pixel store of a manifest, and create it first if it does not exist.

    The folder's name contains ``cache_key``, so a store that other decoders wrote is not used.

    Args:
        manifest: The images.
        preprocessing: Size, interpolation and crop of the stored images.
        pixels: Folder of all pixel stores.
        progress: Called with the stage ``decode``.

    Raises:
        MriError: If an image is missing or has changed since it was ingested.
    """
    folder = pixels / f"{manifest.digest}-{preprocessing.store_key}-{cache_key()}"
    try:
        return open_pixels(folder)
    except (OSError, ValueError):  # missing or damaged
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
    """Map a pixel store into memory. Raises OSError or ValueError if it is missing or damaged."""
    grey = np.load(folder / "grey.npy", mmap_mode="r")
    colour_at = np.load(folder / "colour_at.npy")
    shape = (int(colour_at.max(initial=-1)) + 1, 3, *grey.shape[1:])
    raw = folder / "colour.bin"
    colour = np.memmap(raw, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)
    return PixelStore(grey, colour, colour_at)


def move_into_place(temporary: Path, folder: Path) -> None:
    """Rename ``temporary`` to ``folder``. If another process has done so first, its store is the same and is kept."""
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def decode_all(manifest: Manifest, preprocessing: Preprocessing, folder: Path, progress: ProgressCallback) -> None:
    """Decode all accepted images and write the files of a pixel store to ``folder``."""
    rows = manifest.frame
    shape = (len(rows), preprocessing.store_size, preprocessing.store_size)
    grey = np.lib.format.open_memmap(folder / "grey.npy", "w+", np.uint8, shape)
    colour_at = np.full(len(rows), -1, np.int32)
    positions = np.flatnonzero(rows["status"] == "ok")
    n_colour = 0

    def decode(positions: list[int]) -> list[np.ndarray]:
        return [preprocessing.shrink(pixels) for pixels in read_ingested(manifest, rows.iloc[positions])]

    with (folder / "colour.bin").open("wb") as colour:
        decoded = chain.from_iterable(ordered_map(decode, by_file(rows, positions)))
        planes = with_progress(decoded, len(positions), "decode", progress)
        for position, plane in zip(positions, planes, strict=True):
            grey[position] = plane[0]
            if (plane != plane[0]).any():
                colour.write(plane.tobytes())
                colour_at[position] = n_colour
                n_colour += 1
    grey.flush()
    np.save(folder / "colour_at.npy", colour_at)


def by_file(rows: pd.DataFrame, positions: np.ndarray) -> list[list[int]]:
    """Positions of images, those of one file together, in their order."""
    files = [image_file(path, series) for path, series in zip(rows["path"], rows["series"], strict=True)]
    return [list(members) for _, members in groupby(positions.tolist(), key=files.__getitem__)]


def read_ingested(manifest: Manifest, rows: pd.DataFrame) -> list[np.ndarray]:
    """Decode ingested images of one file: each uint8 BGR of shape (height, width, 3).

    Raises:
        MriError: If the file is missing or its content is not the ingested one.
    """
    first = rows.iloc[0]
    file = manifest.file_of(first["path"], first["series"])
    content = load_content(file)
    images = (
        decode_slices(content, [slice_of(row) for row in rows.to_dict("records")])
        if isinstance(first["series"], str)
        else [decode(content)]
    )
    for image in images:
        if content.sha256 != first["sha256"] or image.pixels is None:
            what = image.reason if not image.sha256 else "has changed since it was ingested"
            raise MriError(
                f"{manifest.shown_file(first['path'], first['series'])} {what}",
                "restore the file, or run: mri ingest DATA",
            )
    return [image.pixels for image in images if image.pixels is not None]
