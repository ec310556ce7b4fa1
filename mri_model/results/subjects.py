"""What the answer to a question is about, and why an answer has no rows.

A file of ``sql/subjects`` chooses what a question is about, from its parameters or their defaults: one row whose
columns are ``evaluation``, ``model``, ``dataset``, ``run`` or ``folder``, and ``other_evaluation`` or ``other`` if
there are two. The question binds them as values, in place of the parameters of these names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from mri_model.results.questions import Question, bind, without_comments
from mri_model.results.upgrade import SQL

Chosen = dict[str, str | None]

_MODEL = "model.id AS model, stage, protocol"
_OF_MODEL = "model INNER JOIN model_stage ON model.id = model_stage.model_id"
_OF_DATASET = "dataset.digest AS dataset, dataset.root AS data"

FACTS = {
    "evaluation": f"SELECT {_MODEL}, sweep_id AS sweep, evaluation.id AS evaluation, split, n AS images, {_OF_DATASET}"
    " FROM evaluation INNER JOIN dataset ON evaluation.dataset_digest = dataset.digest"
    f" LEFT JOIN ({_OF_MODEL}) ON evaluation.model_id = model.id WHERE evaluation.id = :key",
    "model": f"SELECT {_MODEL}, {_OF_DATASET} FROM {_OF_MODEL}"
    " LEFT JOIN dataset ON model.dataset_digest = dataset.digest WHERE model.id = :key",
    "dataset": f"SELECT {_OF_DATASET} FROM dataset WHERE digest = :key",
    "run": f"SELECT scoring_run.id AS run, folder, {_MODEL} FROM scoring_run"
    f" INNER JOIN ({_OF_MODEL}) ON scoring_run.model_id = model.id WHERE scoring_run.id = :key",
    "folder": "SELECT CAST(:key AS TEXT) AS folder",
}
"""What is said about each kind of subject."""

KINDS = {"other_evaluation": "evaluation", "other": "model"}

STAGES = {
    "dataset": ("nothing is ingested yet; run: mri ingest DATA", "dataset_class"),
    "model": ("nothing is trained yet; run: mri train", "epoch", "model_stage", "promotion", "champion"),
    "evaluation": (
        "nothing is evaluated yet; run: mri evaluate",
        *("latest_evaluation", "class_metric", "contrast_metric", "similarity_metric", "confusion", "evaluated_image"),
    ),
    "incoming_look": ("nobody has looked at MRI_INCOMING yet; run: mri watch --once", "incoming_folder"),
    "scoring_run": ("nothing is scored yet; run: mri score FOLDER", "prediction"),
    "promotion": ("no model was promoted yet; run: mri promote MODEL",),
}
"""Table → what it means if it is empty, and the tables and views that are empty with it; in the order of the stages."""

MISSING = {
    "evaluation": "nothing is evaluated on a test split yet; run: mri evaluate",
    "pair": "no two models are evaluated on the same data set and split;"
    " run: mri evaluate --model MODEL --manifest MANIFEST",
    "folder": "no scoring run has looked into this folder; run: mri score FOLDER",
    "scorers": "there is no other model that scored; run: mri score FOLDER --model MODEL",
}
"""Subject → why it cannot be chosen."""

_READ = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    Attributes:
        rows: One row per row of the result; moments are datetime64 in UTC.
        about: What it is about, at most two things; names and values of ``FACTS`` that are known.
        reason: Why there are no rows and what to do; empty if there are, or if it is not known.
    """

    rows: pd.DataFrame
    about: list[dict[str, Any]]
    reason: str


def choose(question: Question, values: Mapping[str, Any], connection: Connection) -> Chosen:
    """The row that says what a question is about; null for what does not exist."""
    if not question.about:
        return {}
    result = connection.execute(bind(subject_sql(question.about), values))
    row = result.first()
    return dict.fromkeys(result.keys()) if row is None else dict(row._mapping)


def describe(question: Question, chosen: Chosen, connection: Connection) -> list[dict[str, Any]]:
    """The facts about what was chosen, as far as the question uses it."""
    found = []
    for column, key in chosen.items():
        if key is None or not (question.is_view or column in question.bound):
            continue
        row = connection.execute(text(FACTS[KINDS.get(column, column)]), {"key": key}).mappings().first()
        found.append({name: value for name, value in (row or {}).items() if value is not None})
    return found


def why_empty(question: Question, values: Mapping[str, Any], chosen: Chosen, connection: Connection) -> str:
    """Why an answer has no rows, and what to do; empty if it is not known."""
    if question.about in ("evaluation", "pair") and (model := untested_model(values, connection)):
        return f"model {model} has no test evaluation; run: mri evaluate --model {model}"
    read = set(_READ.findall(question.sql + (subject_sql(question.about) if question.about else "")))
    for table, (reason, *others) in STAGES.items():
        if read & {table, *others} and connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first() is None:
            return reason
    if any(key is None for column, key in chosen.items() if column in question.bound):
        return MISSING.get(question.about, question.empty)
    return question.empty


def untested_model(values: Mapping[str, Any], connection: Connection) -> str | None:
    """Of the models that are named, or else the champion, the first one without a test evaluation."""
    named = [values[name] for name in ("model", "other") if values.get(name)]
    champion = connection.execute(text("SELECT model_id FROM champion")).scalars()
    tested = set(connection.execute(text("SELECT model_id FROM latest_evaluation")).scalars())
    return next((model for model in named or champion if model not in tested), None)


def subject_sql(name: str) -> str:
    return without_comments((SQL / "subjects" / f"{name}.sql").read_text(encoding="utf-8"))
