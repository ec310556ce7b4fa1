"""DICOM files: each frame as an 8-bit image.

Rules, in this order (DICOM PS3.4, N.2): modality values by rescale or look-up table, per frame where that is given;
then the file's first window or look-up table (VOI), else a window that the caller gives; inverted last, if low values
are to be shown bright. Only pydicom and highdicom see the file. Their messages may repeat its text and are never shown.
"""

import io
import logging
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import gdcm
import highdicom
import numpy as np
import pydicom
from highdicom.pixels import apply_lut, apply_voi_window
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from mri_model.data.decode import MAX_BYTES
from mri_model.data.header import UndecodableError
from mri_model.data.medical.codestream import read_codestream
from mri_model.data.medical.damage import damage_is_a_reason
from mri_model.data.medical.dicom_header import PALETTE, DicomHeader
from mri_model.data.medical.window import (
    AS_STORED,
    FILE_LUT,
    FILE_WINDOW,
    PERCENTILES,
    Values,
    Window,
    in_window,
    to_bytes,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
for name in ("pydicom", "highdicom"):
    logging.getLogger(name).disabled = True
    warnings.filterwarnings("ignore", module=name)
gdcm.Trace.WarningOff()
gdcm.Trace.ErrorOff()
gdcm.Trace.DebugOff()


class DicomFile:
    """An open DICOM file.

    Attributes:
        header: What it says about itself.
    """

    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            UndecodableError: If the file is damaged, too large, or holds no image that can be used.
        """
        check_inflated(data)
        with damage_is_a_reason("corrupt: the header of the DICOM file cannot be read"):
            self._dataset: Dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            self.header = DicomHeader(self._dataset)
            state_transfer_syntax(self._dataset)

    def window(self, frame: int) -> tuple[str, Window | None]:
        """How the frame is shown with 8 bits, and the values that are black and white where that is a window.

        ``percentiles``: the file does not say it.
        """
        header = self.header
        if not header.is_grey:
            return AS_STORED, None
        if "VOILUTSequence" in header.values:
            return FILE_LUT, None
        if stated := header.window(frame):
            shift = 1 if stated.function == "LINEAR" else 0
            return FILE_WINDOW, (stated.center - stated.width / 2, stated.center + stated.width / 2 - shift)
        return (AS_STORED if header.is_8_bit else PERCENTILES), None

    def modality_values(self, frame: int) -> Values:
        """The values of a grey frame in the units of its modality.

        Raises:
            UndecodableError: If the frame is damaged.
        """
        with damage_is_a_reason():
            stored = self._stored(frame)
            if "ModalityLUTSequence" in self.header.values:
                return np.asarray(apply_modality_lut(stored, self._dataset))
            slope, intercept = self.header.rescale(frame)
            return stored if (slope, intercept) == (1, 0) else stored.astype(np.float64) * slope + intercept

    def grey(self, frame: int, window: Window | None) -> NDArray[np.uint8]:
        """A frame with 8 bits.

        Args:
            frame: Counted from 0.
            window: Used if the file does not say how it is shown.

        Returns:
            uint8 of shape (height, width) for grey frames, RGB of shape (height, width, 3) for others.

        Raises:
            UndecodableError: If the frame is damaged, or stored in a way that cannot be decoded.
        """
        with damage_is_a_reason():
            if not self.header.is_grey:
                return self._colour(frame)
            shown = self._shown(frame, self.modality_values(frame), window)
            return 255 - shown if self.header.is_inverted else shown

    def _shown(self, frame: int, values: Values, window: Window | None) -> NDArray[np.uint8]:
        if "VOILUTSequence" in self.header.values:
            table = highdicom.VOILUT.from_dataset(self.header.values["VOILUTSequence"][0])
            scaled = table.get_scaled_lut_data((0.0, 255.0))
            return to_bytes(apply_lut(np.rint(values).astype(np.int64), scaled, table.first_mapped_value))
        if stated := self.header.window(frame):
            return to_bytes(apply_voi_window(values, stated.center, stated.width, stated.function, (0.0, 255.0)))
        if self.header.is_8_bit:
            return values.astype(np.uint8)
        if window is None:
            raise UndecodableError("a DICOM file without a window")
        return in_window(values, window)

    def _colour(self, frame: int) -> NDArray[np.uint8]:
        stored = self._stored(frame)
        if self.header.photometric == PALETTE:
            stored = apply_color_lut(stored, self._dataset)
            bits = stored.dtype.itemsize * 8
        else:
            bits = int(self.header.values["BitsStored"])
        if stored.ndim != 3 or stored.shape[2] != 3 or stored.dtype.kind != "u":
            raise UndecodableError("a DICOM file whose colours are stored in an unknown way")
        return (stored >> max(bits - 8, 0)).astype(np.uint8)

    def _stored(self, frame: int) -> NDArray[Any]:
        if self._dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            self._check_codestream(frame)
        elif "PixelData" in self._dataset and len(self._dataset.PixelData) < get_expected_length(self._dataset):
            raise UndecodableError("truncated: the end of the image is missing")
        return pixel_array(self._dataset, index=frame)

    def _check_codestream(self, frame: int) -> None:
        """Refuse compressed pixels of another size than the header's, before memory is taken for them."""
        n_frames, size = self.header.n_frames, (self.header.height, self.header.width)
        found = read_codestream(pydicom.encaps.get_frame(self._dataset.PixelData, frame, number_of_frames=n_frames))
        if found and found.is_extended:
            raise UndecodableError("JPEG Extended with 12 bits, which cannot be decoded: export it uncompressed")
        if found and found.size != size:
            raise UndecodableError("corrupt: its compressed pixels have another size than its header says")


def state_transfer_syntax(dataset: "Dataset") -> None:
    """Add the transfer syntax to the file meta of a file that lacks it, as the file was read."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, is_little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit


def check_inflated(data: bytes) -> None:
    """Raises UndecodableError if a deflated file would unpack to more than ``MAX_BYTES``."""
    if DeflatedExplicitVRLittleEndian.encode() not in data[:1024]:
        return
    start = 144 + int.from_bytes(data[140:144], "little")  # after the group length, which comes first (PS3.10, 7.1)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacker.decompress(data[start:], MAX_BYTES)
    except zlib.error:
        raise UndecodableError("corrupt: the deflated part of the DICOM file is damaged") from None
    if unpacker.unconsumed_tail:
        raise UndecodableError("too large: a decompression bomb")
