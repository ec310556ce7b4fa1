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


class SkippedError(MriError):
    """The work is not to be done now; nothing is wrong, and other work takes its place."""


class RefusedError(MriError):
    """A validation or promotion rule is not met."""

    exit_code = 3


class ChangedError(RefusedError):
    """A re-evaluation found something that is not as it was.

    Attributes:
        model_id: The model.
        problems: What changed, with numbers.
    """

    def __init__(self, model_id: str, problems: list[str]) -> None:
        self.model_id, self.problems = model_id, problems
        super().__init__("; ".join(problems), "compare evaluations: mri query evaluations, table evaluated_image")
