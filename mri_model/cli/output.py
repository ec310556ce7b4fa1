"""What a command prints: results on stdout, messages on stderr, errors as one line why and one line what to do."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mri_model.errors import MriError
from mri_model.files import finite
from mri_model.progress import is_first_process, show_progress
from mri_model.quality.wording import visible

if TYPE_CHECKING:
    import pandas as pd

    from mri_model.api import StepRunner


def make_streams_safe() -> None:
    """Print what the terminal's encoding cannot show as escapes, and nothing to a closed stream, instead of failing."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_result(as_json: bool, facts: dict[str, Any], text: str) -> None:
    """The command's result on stdout: ``facts`` as one JSON object, or ``text``."""
    if is_first_process():
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        print(json.dumps(finite(facts), ensure_ascii=not unicode, allow_nan=False, default=str) if as_json else text)


def print_message(line: str, quiet: bool = False) -> None:
    """A message of one line on stderr; a line break in a name is shown as an escape."""
    if not quiet and is_first_process():
        print(visible(line), file=sys.stderr, flush=True)


def definition_list(texts: dict[str, str], indent: int = 18, width: int = 100) -> str:
    """Names with their texts beside them, wrapped to ``width`` columns."""
    lines = []
    for name, text in texts.items():
        lines.append(textwrap.fill(f"{name:<{indent - 1}} {text}", width, subsequent_indent=" " * indent))
    return "\n".join(lines)


@contextmanager
def stage_runner(quiet: bool) -> Iterator["StepRunner"]:
    """Runs the steps of a stage with progress and messages on stderr."""
    from mri_model.api import StepRunner

    with show_progress(quiet) as progress:
        yield StepRunner(progress, lambda line: print_message(line, quiet))


def records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows as JSON-serializable mappings: null for missing values, moments in ISO 8601, all digits of numbers."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): json_value(value) for name, value in row.items()} for row in plain.to_dict("records")]


def json_value(value: Any) -> Any:
    """A cell without numpy and pandas in it."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.tolist() if hasattr(value, "tolist") else value


def json_facts(value: Any) -> Any:
    """Facts as JSON holds them: tables as lists of rows, dataclasses as objects."""
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(name): json_facts(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_facts(item) for item in value]
    return records(value) if hasattr(value, "columns") else json_value(value)


def fail(error: MriError, as_json: bool = False) -> NoReturn:
    """Print an error the user can fix on stderr, and as the one JSON object on stdout; exit with its code."""
    print(f"mri: {visible(str(error))}", file=sys.stderr)
    if error.hint:
        print(f"     {visible(error.hint)}", file=sys.stderr)
    print_error(as_json, str(error), error.hint, error.facts)
    sys.exit(error.exit_code)


def print_error(as_json: bool, error: str, hint: str = "", facts: Mapping[str, Any] | None = None) -> None:
    """An error as the one JSON object on stdout, if JSON is wanted."""
    if as_json:
        print_result(True, {"error": error, "hint": hint, **json_facts(facts or {})}, "")
