"""Errors that a user can cause: one line says why, one line what to do; with the exit code of the command line."""


class MriError(Exception):
    """A problem that the user can fix. ``hint`` says how, in one line."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MriError):
    """An argument with an impossible value."""

    exit_code = 2


class UnavailableError(MriError):
    """A service that may answer later, such as a database: a retry can help."""


class RefusedError(MriError):
    """A validation or promotion rule is not met."""

    exit_code = 3


class ChangedError(RefusedError):
    """A re-evaluation found something that is not as it was."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems), "compare both in the table evaluated_image; mri query evaluations")
