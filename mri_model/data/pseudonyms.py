"""Keyed hashes in place of identifiers: a person keeps a pseudonym, and nobody without the key can tell whose it is.

A plain hash would not do: patient numbers are few, so all of them can be hashed and compared.
"""

import hmac
import os
import secrets
from functools import cached_property
from pathlib import Path
from threading import Lock

from mri_model.errors import MriError
from mri_model.files import lock_of

KEY_BYTES = 32

DIGITS = 20
"""Hex digits of a pseudonym: 80 bits, so that two of a billion persons share one with a probability below one in a
million."""

PSEUDONYM = f"[0-9a-f]{{{DIGITS}}}"
"""A regular expression that fits them."""

KEY_FILE = "key"

MADE_FILE = ".key-made"
"""Says that there was a key: another one would give every patient another pseudonym."""


class Pseudonyms:
    """Replaces identifiers by keyed hashes (HMAC-SHA256, RFC 2104).

    The key is read, or made, when it is first needed. Who has it can find out which pseudonym belongs to a known
    identifier.

    Args:
        folder: Where the key is kept; None: nowhere, the pseudonyms are those of this object only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._lock = folder, Lock()

    @cached_property
    def _key(self) -> bytes:
        with self._lock:
            return key_in(self._folder) if self._folder else secrets.token_bytes(KEY_BYTES)

    def of(self, kind: str, *identifiers: str) -> str:
        """The pseudonym of an identifier, or of several together: 20 hex digits.

        Args:
            kind: What is identified. Equal identifiers of two kinds have different pseudonyms.

        Raises:
            MriError: If the key cannot be read or written.
        """
        message = "\0".join([kind, *identifiers]).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256").hex()[:DIGITS]


def key_in(folder: Path) -> bytes:
    """The key in a folder, which is made once and readable by its owner only.

    Raises:
        MriError: If it cannot be read or written, or is no key.
    """
    file = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        with lock_of(folder / ".key.lock"):
            if not file.exists() and (folder / MADE_FILE).exists():
                raise MriError(f"{file} is gone", f"restore it from a backup; or, for new pseudonyms, delete {folder}")
            if not file.exists():
                write_private(file, secrets.token_hex(KEY_BYTES).encode())
                write_private(folder / MADE_FILE, b"")
        key = bytes.fromhex(file.read_text("ascii").strip())
    except OSError as error:
        raise MriError(f"cannot use {file}: {error.strerror or error}", "fix its permissions") from None
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MriError(f"{file} is damaged", "restore it from a backup; without it patients cannot be recognized")
    return key


def write_private(file: Path, data: bytes) -> None:
    """Write a file that its owner alone can read; it is there completely or not at all."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(handle)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
