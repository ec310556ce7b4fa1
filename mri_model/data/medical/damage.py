"""Whatever a decoder raises about a file becomes a rejection reason, without the decoder's words.

These may repeat the text of a header, which can identify a patient.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mri_model.data.header import UndecodableError
from mri_model.errors import MriError


@contextmanager
def damage_is_a_reason(reason: str = "corrupt, or compressed in a way that cannot be decoded") -> Iterator[None]:
    """Raises UndecodableError with ``reason`` for any error but those that say nothing about the file."""
    try:
        yield
    except (UndecodableError, MriError, MemoryError):
        raise
    except Exception:  # a damaged file can make pydicom, GDCM and nibabel raise any exception
        raise UndecodableError(reason) from None
