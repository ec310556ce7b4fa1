"""Errors a user can cause: one line why, one line what to do, and an exit code."""


class MriError(Exception):
    """Something the user can mend. ``hint`` says how."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MriError):
    """A value that cannot be."""

    exit_code = 2


class RefusedError(MriError):
    """A validation or promotion rule said no."""

    exit_code = 3


class UnavailableError(MriError):
    """A service that may answer later; a retry can help."""
