"""The commands ``mri query`` and ``mri export``: results as tables and as files."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mri_model.cli.options import Json
from mri_model.cli.output import definition_list, print_message, print_result, records, stage_runner
from mri_model.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from mri_model.api.results import Answer, Question

PARAMETERS_AS_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Every question has parameters of its own: ``query`` reads them, and ``--help``, from the words that are left."""

WIDTH = 100
NAME_WIDTH = 28

SHOWN_ROWS = 50
"""Rows of a table on the screen, without ``--limit``; enough for one row per class."""
SHOWN_BLOCKS = 10
"""The same for a table that is too wide, with several lines per row."""


def query(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A question's name; without it, the questions are listed.")] = "",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"At most so many rows, 0 for all. Default: all; {SHOWN_ROWS} on the screen."),
    ] = None,
    show_help: Annotated[bool, typer.Option("--help", help="With a name: its notes and parameters.")] = False,
) -> None:
    """Ask the results database a named question: report-table-1 … report-table-6, worst-classes, …

    Parameters of a question are options after its name: mri query compare --model A --other B. They are listed by
    mri query, and explained by mri query NAME --help.
    """
    from mri_model import api
    from mri_model.settings import load_settings

    if as_json and as_csv:
        raise UsageError("the answer cannot be JSON and CSV at once", "give --json or --csv")
    name, parameters = read_words([name, *context.args] if name else context.args)
    if show_help:
        print(describe(api.find_question(name)) if name else context.get_help())
        return
    settings = load_settings()
    if not name:
        if parameters:
            raise UsageError(f"--{next(iter(parameters))} needs a question", "run: mri query, which lists them")
        questions = api.list_questions()
        print_result(as_json, {each: facts(question) for each, question in questions.items()}, overview(questions))
        return
    if as_csv:
        answer = api.ask(settings, name, parameters)
        print_notes(answer)
        print(first_rows(answer.rows, limit).to_csv(index=False), end="")
    else:
        print_answer(api.ask(settings, name, parameters), as_json, name, limit)


def print_answer(answer: "Answer", as_json: bool, name: str, limit: int | None = None) -> None:
    """Print the answer to a question as a table or as JSON, with what it is about."""
    if not as_json:
        print_notes(answer)
        print_result(False, {}, screen_table(answer.rows, limit))
        return
    facts = {"name": name, "about": answer.about, "total": len(answer.rows)}
    facts |= {"reason": answer.reason} if answer.reason else {}
    print_result(True, {**facts, "rows": records(first_rows(answer.rows, limit))}, "")


def print_notes(answer: "Answer") -> None:
    """Say on stderr what an answer is about, and why it has no rows."""
    for word, facts in zip(("about", "other"), answer.about, strict=False):
        line = f"{word}  {describe_subject(facts)}"
        for part in textwrap.wrap(line, WIDTH, subsequent_indent=" " * 7, break_on_hyphens=False):
            print_message(part)
    if answer.reason:
        print_message(f"no rows: {answer.reason}")


def describe_subject(facts: Mapping[str, Any]) -> str:
    """What an answer is about, in one line; where the data lies only if no model is named."""
    texts = {
        "run": "scoring run {run}",
        "folder": "folder {folder}",
        "model": "model {model} ({stage}, {protocol} protocol)",
        "sweep": "sweep {sweep}",
        "evaluation": "{evaluation} ({split} split, {images} images)",
        "dataset": "data set {dataset}" if "model" in facts else "data set {dataset} ({data})",
    }
    return ", ".join(text.format(**facts) for name, text in texts.items() if name in facts)


def first_rows(table: "pd.DataFrame", limit: int | None) -> "pd.DataFrame":
    return table.head(limit) if limit else table


def screen_table(table: "pd.DataFrame", limit: int | None) -> str:
    """A table for a terminal; where rows are left out, its last line says how many there are."""
    from mri_model.report.tables import format_table

    shown = first_rows(table, SHOWN_ROWS if limit is None else limit)
    text = format_table(shown)
    if limit is None and text.count("\n") > 2 * SHOWN_ROWS:
        shown = first_rows(table, SHOWN_BLOCKS)
        text = format_table(shown)
    if len(shown) == len(table):
        return text
    return f"{text}\n\n{len(shown)} of {len(table)} rows; all of them: --limit 0, --csv or --json"


def export(
    folder: Annotated[Path, typer.Argument(help="New or empty folder.")],
    as_json: Json = False,
) -> None:
    """Write every table of the results database to FOLDER, each as a Parquet file."""
    from mri_model import api
    from mri_model.settings import load_settings

    with stage_runner(as_json) as run:
        counts = api.export(load_settings(), folder, run)
    lines = [f"{name:<{NAME_WIDTH}}{n:>10}" for name, n in counts.items()]
    print_result(as_json, {"folder": str(folder), "tables": counts}, "\n".join([*lines, str(folder)]))


def read_words(words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The name of a question and its parameters, from ``NAME``, ``--x value`` and ``--x=value`` in any order.

    Raises:
        UsageError: A parameter without a value or given twice, or a second name.
    """
    name, parameters = "", {}
    left = iter(words)
    for word in left:
        if not word.startswith("-") or word == "-":
            if name:
                raise UsageError(f"{word!r} is one word too many", "quote a value that has blanks in it")
            name = word
            continue
        key, has_value, value = word.lstrip("-").partition("=")
        value = value if has_value else next(left, "")
        if not value:
            raise UsageError(f"--{key} needs a value", f"write --{key} VALUE")
        if key in parameters:
            raise UsageError(f"--{key} is given twice", "give it once")
        parameters[key] = value
    return name, parameters


def facts(question: "Question") -> dict[str, Any]:
    """What ``mri query --json`` prints of a question."""
    return {"question": question.asked, "notes": question.notes, "parameters": dict(question.parameters)}


def overview(questions: "dict[str, Question]") -> str:
    """Each question with the names of its parameters."""
    texts = {
        name: " ".join([each.asked, *(f"[--{parameter}]" for parameter in each.parameters)])
        for name, each in questions.items()
    }
    return definition_list(texts, NAME_WIDTH, WIDTH)


def describe(question: "Question") -> str:
    """A question with its notes and what its parameters mean."""
    parts = [f"mri query {question.name}", textwrap.fill(question.asked, WIDTH), textwrap.fill(question.notes, WIDTH)]
    if question.parameters:
        options = {f"--{name}": help for name, help in question.parameters.items()}
        parts.append(definition_list(options, 12, WIDTH))
    return "\n\n".join(part for part in parts if part)
