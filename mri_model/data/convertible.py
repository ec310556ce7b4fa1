"""Formats that hold medical images but are not read as they are: recognized by content, to say what to do."""

import zlib

SLICES = "export each slice as an 8-bit PNG or JPEG"
KINDS = {
    "DICOM": "a DICOM file with the extension of a plain image: rename it to .dcm",
    "NIfTI": "a NIfTI volume with the extension of a plain image: rename it to .nii or .nii.gz",
    "NRRD": f"an NRRD volume: {SLICES}",
    "MetaImage": f"a MetaImage volume: {SLICES}",
    "MATLAB": f"a MATLAB or HDF5 file: {SLICES}",
    "GIF": "a GIF: convert it to PNG",
}
"""The rejection reason for each format."""

SIGNATURES = {
    b"NRRD000": "NRRD",
    b"ObjectType = Image": "MetaImage",
    b"NDims = ": "MetaImage",
    b"MATLAB 5.0 MAT-file": "MATLAB",
    b"\x89HDF\r\n\x1a\n": "MATLAB",
    b"GIF8": "GIF",
}
"""First bytes of a file."""

DICOM_GROUPS = (b"\x02\x00", b"\x08\x00")
"""Groups of the first data element of a DICOM file without preamble: 0002 (file meta) or 0008 (identification)."""

DICOM_TYPES = (b"AE", b"CS", b"DA", b"LO", b"OB", b"PN", b"SH", b"TM", b"UI", b"UL")
"""Value representations of the first data element, if they are explicit (DICOM PS3.5, 7.1.2)."""

MAX_FIRST_VALUE = 128
"""Length in bytes of the first value, if value representations are implicit (DICOM PS3.5, 7.1.3)."""

NIFTI_MAGIC = {344: (b"n+1\0", b"ni1\0"), 4: (b"n+2\0", b"ni2\0")}
"""Where a NIfTI-1 and a NIfTI-2 header have their magic, and what it is."""

NIFTI_HEADER = 348


def convertible_reason(data: bytes) -> str | None:
    """The rejection reason for a file of one of these formats, None for any other file.

    >>> convertible_reason(b"GIF89a")
    'a GIF: convert it to PNG'
    """
    kind = next((kind for start, kind in SIGNATURES.items() if data.startswith(start)), None)
    if data[128:132] == b"DICM":
        kind = "DICOM"
    elif is_nifti(data) or is_nifti(unzipped(data)):
        kind = "NIfTI"
    elif kind is None and is_bare_dicom(data):
        kind = "DICOM"
    return KINDS[kind] if kind else None


def is_nifti(data: bytes) -> bool:
    return any(data[at : at + 4] in magic for at, magic in NIFTI_MAGIC.items())


def unzipped(data: bytes) -> bytes:
    """The first bytes of a gzip file; none if it is not one."""
    if not data.startswith(b"\x1f\x8b"):
        return b""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, NIFTI_HEADER)
    except zlib.error:
        return b""


def is_bare_dicom(data: bytes) -> bool:
    """Whether a file begins with a DICOM data element, little endian, without the preamble."""
    if len(data) < 16 or data[:2] not in DICOM_GROUPS or data[3:4] != b"\x00":
        return False
    length = int.from_bytes(data[4:8], "little")
    return data[4:6] in DICOM_TYPES or (length <= MAX_FIRST_VALUE and length % 2 == 0)
