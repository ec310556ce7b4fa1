"""The stages as plain functions: the only place where the sequence of a stage's steps is written.

The command line and the Prefect flows both call these. A stage runs each step through ``run``: a ``StepRunner`` calls
it directly; the flows pass one that makes it a Prefect task (``tasks/runner.py``).
"""

from mri_model.api.evaluation import evaluate, reevaluate, report
from mri_model.api.incoming import check_incoming, watch
from mri_model.api.ingestion import ingest, learn_profile
from mri_model.api.registry import promote
from mri_model.api.results import (
    ask,
    check_database,
    delete,
    export,
    find_question,
    list_models,
    list_questions,
    plan_deletion,
    query,
)
from mri_model.api.runner import DIRECT, StepRunner, callbacks
from mri_model.api.scoring import score
from mri_model.api.training import make_recipe, report_recipes, reproduce, train

REPORT_SIZES = (100, 256, 630)
"""Image sizes of the report's Table 3, in pixels."""

__all__ = [
    "DIRECT",
    "REPORT_SIZES",
    "StepRunner",
    "ask",
    "callbacks",
    "check_database",
    "check_incoming",
    "delete",
    "evaluate",
    "export",
    "find_question",
    "ingest",
    "learn_profile",
    "list_models",
    "list_questions",
    "make_recipe",
    "plan_deletion",
    "promote",
    "query",
    "reevaluate",
    "report",
    "report_recipes",
    "reproduce",
    "score",
    "train",
    "watch",
]
