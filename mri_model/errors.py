"""Errors that a user can cause: one line says why, one line what to do; with the exit code of the command line."""

from collections.abc import Mapping
from typing import Any


class MriError(Exception):
    """A problem that the user can fix.

    Attributes:
        hint: What to do, in one line.
        facts: What else is known, for programs: the command line prints it with ``--json``.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.hint, self.facts = hint, facts or {}


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


COMPARE = "compare evaluations: mri query evaluations, table evaluated_image"


class ChangedError(RefusedError):
    """A re-evaluation found something that is not as it was.

    Attributes:
        model_id: The model.
        problems: What changed, with numbers.
    """

    def __init__(
        self, model_id: str, problems: list[str], hint: str = COMPARE, facts: Mapping[str, Any] | None = None
    ) -> None:
        self.model_id, self.problems = model_id, problems
        super().__init__("; ".join(problems), hint, {"model": model_id, "problems": problems, **(facts or {})})
