"""NIfTI volumes: each slice of the volume as nibabel's ``as_closest_canonical`` turns it."""

import gzip
import io
import logging
import warnings
import zlib
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from mri_model.data.header import UndecodableError
from mri_model.data.medical.choice import Axis
from mri_model.data.medical.damage import damage_is_a_reason
from mri_model.data.medical.window import Values, Window

MAX_VOLUME_BYTES = 1 << 30
"""Volumes with larger pixel data are rejected. 1 GiB is a cube of 800 voxels of 16 bits."""

AXES: dict[Axis, str] = {"sagittal": "x", "coronal": "y", "axial": "z"}

HEADERS = {540: nibabel.Nifti2Image, 348: nibabel.Nifti1Image}
"""Image class by the size of its header, which is the first number of a file."""

logging.getLogger("nibabel").disabled = True
logging.getLogger("nibabel.global").disabled = True
warnings.filterwarnings("ignore", module="nibabel")


class NiftiVolume:
    """A volume, cut along an axis.

    Attributes:
        n_slices: Number of slices along the axis.
    """

    def __init__(self, data: bytes, axis: Axis) -> None:
        """Read a volume; gzip is unpacked.

        Raises:
            UndecodableError: If the file is damaged, too large, or no single volume of grey values.
        """
        image = open_image(data)
        with damage_is_a_reason("corrupt: the NIfTI volume cannot be read"):
            scale, shift = image.dataobj.slope, image.dataobj.inter
            turned = nibabel.apply_orientation(
                image.dataobj.get_unscaled().reshape(spatial(image.shape)), nibabel.io_orientation(image.affine)
            )
            self._window = stated_window(image.header)
        self._volume = np.moveaxis(turned, "xyz".index(AXES[axis]), 0)
        self._scale, self._shift, self._letter = float(scale), float(shift), AXES[axis]
        self.n_slices = len(self._volume)

    def name(self, index: int) -> str:
        """``z=23``: the slice's place along its axis in the canonical volume, from 0."""
        return f"{self._letter}={index}"

    @property
    def window(self) -> Window | None:
        """The values that the file itself says are shown black and white."""
        return self._window

    def values(self, index: int) -> Values:
        """A slice as it is usually shown: the front or the head above, the patient's right or front on the left.

        Returns:
            Float or integer of shape (height, width), rescaled.
        """
        plane: NDArray[Any] = self._volume[index][::-1, ::-1].T
        if (self._scale, self._shift) == (1.0, 0.0):
            return plane
        return plane.astype(np.float64) * self._scale + self._shift


def open_image(data: bytes) -> Any:
    """The file as an image of nibabel, whose pixels are not read yet."""
    with damage_is_a_reason("corrupt: the header of the NIfTI volume cannot be read"):
        raw = data if not data.startswith(b"\x1f\x8b") else unpack(data, 1024)
        kind = HEADERS[int.from_bytes(raw[:4], "little") if raw[:4] in LITTLE else int.from_bytes(raw[:4])]
        if raw[344:348] == b"ni1\0" or raw[4:8] == b"ni2\0":
            raise UndecodableError("the header of a NIfTI pair: convert both files to one .nii")
        header = kind.header_class.from_fileobj(io.BytesIO(raw), check=False)
        size = check_header(header)
        if data.startswith(b"\x1f\x8b"):
            raw = unpack(data, size)
        if len(raw) < size:
            raise UndecodableError("truncated: the end of the volume is missing")
        return kind.from_bytes(raw)


LITTLE = tuple(size.to_bytes(4, "little") for size in HEADERS)


def unpack(data: bytes, most: int) -> bytes:
    """The first ``most`` bytes of a gzip file. Raises UndecodableError if it is damaged before them."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(most)
    except (OSError, EOFError, zlib.error):
        raise UndecodableError("truncated or damaged: it cannot be unpacked") from None


def check_header(header: Any) -> int:
    """The number of bytes that a file with this header has.

    Raises:
        UndecodableError: If it describes no single volume of grey values, or one that is too large.
    """
    shape = tuple(int(each) for each in header.get_data_shape())
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise UndecodableError("a NIfTI volume of colours or complex numbers")
    if len(shape) not in (2, 3) and np.prod(shape[3:]) != 1:
        shown = "×".join(map(str, shape))
        raise UndecodableError(f"more than one volume ({shown}): give each a file of its own")
    if len(shape) < 2 or min(shape) < 1:
        raise UndecodableError("a NIfTI file without a volume")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize + max(int(header["vox_offset"]), 0)
    if size > MAX_VOLUME_BYTES:
        raise UndecodableError(f"too large: {'×'.join(map(str, shape))} voxels")
    return size


def spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The three spatial dimensions of a single volume."""
    return (*shape, 1, 1)[:3]


def stated_window(header: Any) -> Window | None:
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return (low, high) if np.isfinite([low, high]).all() and high > low else None
