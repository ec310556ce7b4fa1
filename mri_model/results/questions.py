"""Named questions in SQL: their text, their parameters, and the values bound to them.

A question is a view of ``sql/views`` or a file of ``sql/queries``. The comment at its top is the question, which ends
with ``?``, then notes, then, where they apply:

- ``-- about: NAME``: what the answer is about, see ``subjects``;
- ``-- empty: …``: why an answer has no rows;
- ``-- :name  what it is; default: …`` for each parameter.

Values are always bound, never written into the SQL. A parameter that is not given is null, and the SQL says what it
means then. From ``:days`` and ``:day`` two moments follow, which a query uses in their place because databases differ
in their arithmetic of time: ``:since`` (now less so many days, or the start of the day) and ``:until`` (now, or the end
of the day), in UTC.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Text, TextClause, bindparam, select, text

from mri_model.errors import MriError, UsageError
from mri_model.models.choice import is_named
from mri_model.options import MODEL_PARAMETERS
from mri_model.results import schema
from mri_model.results.columns import UtcDateTime
from mri_model.results.upgrade import SQL, view_sources

DERIVED = ("since", "until")
"""Moments that are bound by this module; no option of a command."""
MAX_DAYS = 36_500
SHOWN_MATCHES = 3

_FACT = re.compile(r"^(about|empty): (.+)$")
_PARAMETER = re.compile(r"^:(\w+)\s+(.+)$")
_BOUND = re.compile(r"(?<![:\w]):([a-z]\w*)")
_DEFAULT_NUMBER = re.compile(r"default: (\d+)$")


@dataclass(frozen=True)
class Question:
    """A named question.

    Attributes:
        asked: One sentence that ends with a question mark.
        notes: What its columns mean, and its limits; may be empty.
        parameters: Name of a parameter → what it is and its default.
        sql: The statement, without comments at the start of a line. That of a view is its own.
        is_view: Whether it is read by its name.
        about: A statement of ``sql/subjects``; empty if the rows themselves say what they are about.
        empty: Why an answer has no rows, and what to do; may be empty.
    """

    name: str
    asked: str
    notes: str
    parameters: Mapping[str, str]
    sql: str
    is_view: bool
    about: str = ""
    empty: str = ""

    @property
    def bound(self) -> set[str]:
        """Names that the statement binds."""
        return set() if self.is_view else bound_names(self.sql)


def questions() -> dict[str, Question]:
    """All questions by name, the views first."""
    views = {name: _parse(name.replace("_", "-"), source) for name, source in view_sources().items()}
    queries = [_parse(file.stem, file.read_text(encoding="utf-8")) for file in sorted((SQL / "queries").glob("*.sql"))]
    return {each.name: each for each in (*views.values(), *queries)}


def find_question(name: str) -> Question:
    """A question by its name, which may be spelt as in SQL: ``report_table_1``.

    Raises:
        UsageError: There is none; the hint names similar ones.
    """
    name = name.strip().lower().replace("_", "-")
    known = questions()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "run: mri query, which lists them"
    raise UsageError(f"there is no question {name!r}", hint)


def bound_names(sql: str) -> set[str]:
    """Names that a statement binds: ``:name``."""
    return set(_BOUND.findall(sql))


def read_values(question: Question, given: Mapping[str, Any], connection: Connection) -> dict[str, Any]:
    """The values of a question's parameters, and the moments that follow from them.

    Args:
        question: Any question.
        given: Parameter → value, as text or a plain value; None counts as not given.
        connection: To find models and classes by name.

    Raises:
        UsageError: The question has no such parameter, or a value is not what it must be.
        MriError: There is no such model or class, or several.
    """
    check_parameters(question, given)
    values = {name: _read(name, given.get(name), help, connection) for name, help in question.parameters.items()}
    return values | _moments(values)


def bind(sql: str, values: Mapping[str, Any]) -> TextClause:
    """A statement with its values; those that it binds and that are not given are null."""
    moment = UtcDateTime()
    names = sorted(bound_names(sql))
    return text(sql).bindparams(
        *(bindparam(name, values.get(name), moment if name in DERIVED else Text()) for name in names)
    )


def check_parameters(question: Question, given: Mapping[str, Any]) -> None:
    """Raises UsageError for a parameter that the question does not have."""
    unknown = [name for name in given if name not in question.parameters]
    if unknown:
        own = ", ".join(f"--{name}" for name in question.parameters) or "none"
        raise UsageError(f"{question.name} has no parameter --{unknown[0]}", f"its parameters: {own}")
    if given.get("model") and given.get("model") == given.get("other"):
        raise UsageError("--model and --other are the same model", "name two")


def _parse(name: str, source: str) -> Question:
    words: list[str] = []
    parameters: dict[str, str] = {}
    facts: dict[str, str] = {}
    for line in source.splitlines():
        if not line.startswith("--"):
            break
        comment = line.removeprefix("--").strip()
        if found := _PARAMETER.match(comment):
            parameters[found[1]] = found[2]
        elif found := _FACT.match(comment):
            facts[found[1]] = found[2]
        else:
            words.append(comment)
    asked, mark, notes = " ".join(words).partition("?")
    is_view = name.replace("-", "_") in view_sources()
    return Question(name, asked + mark, notes.strip(), parameters, without_comments(source), is_view, **facts)


def without_comments(source: str) -> str:
    """A statement without the lines that are comments."""
    return "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("--"))


def _read(name: str, value: Any, help: str, connection: Connection) -> Any:
    """The value of a parameter from what was given."""
    if name == "days":
        default = _DEFAULT_NUMBER.search(help)
        return _whole_number(name, default[1] if value is None and default else value)
    if name == "day":
        return datetime.now(UTC).date().isoformat() if value is None else _day(value)
    if value is None:
        return None
    if name in MODEL_PARAMETERS:
        return find_model(connection, str(value))
    if name == "label":
        return _find_label(connection, str(value))
    if name == "folder":
        return _stored_path(Path(str(value)).expanduser().resolve())
    if name == "path":
        file = Path(str(value)).expanduser()
        return _stored_path(file.resolve() if file.exists() else file)
    return str(value)


def _stored_path(path: Path) -> str:
    """As paths are recorded: bytes that are no UTF-8 are escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _whole_number(name: str, value: Any) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not 0 < number <= MAX_DAYS:
        raise UsageError(f"--{name} {value} is not a number of days", f"give a whole number from 1 to {MAX_DAYS}")
    return number


def _day(value: Any) -> str:
    try:
        return datetime.strptime(str(value), "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise UsageError(f"--day {value} is not a day", "write it as YEAR-MONTH-DAY, such as 2026-11-25") from None


def _moments(values: Mapping[str, Any]) -> dict[str, datetime]:
    """``since`` and ``until`` for a question with ``days`` or ``day``."""
    if "day" in values:
        start = datetime.fromisoformat(values["day"]).replace(tzinfo=UTC)
        try:
            return {"since": start, "until": start + timedelta(days=1)}
        except OverflowError:  # the last day that Python knows
            return {"since": start, "until": datetime.max.replace(tzinfo=UTC)}
    if "days" in values:
        now = datetime.now(UTC)
        return {"since": now - timedelta(days=values["days"]), "until": now}
    return {}


def find_model(connection: Connection, name: str) -> str:
    """The id of a recorded model.

    Args:
        connection: The results database.
        name: An id, the start of one, or a short id as tables show it: ``resnet18-…-2c3d4e``.

    Raises:
        MriError: No model, or several, match.
    """
    ids = connection.scalars(select(schema.model.c.id).order_by(schema.model.c.id)).all()
    matches = [each for each in ids if each == name] or [each for each in ids if is_named(each, name)]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise MriError(f"no model has an id that starts with {name!r}", "run: mri query models, which lists them")
    shown = ", ".join(matches[:SHOWN_MATCHES]) + (", …" if len(matches) > SHOWN_MATCHES else "")
    raise MriError(f"{len(matches)} models have an id that starts with {name!r}", f"give more of it: {shown}")


def _find_label(connection: Connection, name: str) -> str:
    """A class that was evaluated, whatever its case. Raises MriError if there is none."""
    labels = connection.scalars(select(schema.class_metric.c.label).distinct()).all()
    matches = [each for each in labels if each == name] or sorted(
        each for each in labels if each.lower() == name.strip().lower()
    )
    if matches:
        return matches[0]
    near = difflib.get_close_matches(name, sorted(labels), n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "run: mri query classes, which lists them"
    raise MriError(f"no class {name!r} was evaluated", hint)
