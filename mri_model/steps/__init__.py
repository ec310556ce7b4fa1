"""The steps of the stages in ``api``: each one computes, writes below ``MRI_HOME`` or records rows.

Every step can be repeated: it finds what an earlier attempt left, or writes the same again.
"""

from mri_model.steps.database import check_database, ensure_recorded, model_folder, open_store, query_report_tables
from mri_model.steps.deletion import delete_files, delete_rows, plan_deletion
from mri_model.steps.evaluation import (
    check_test_files,
    evaluate_model,
    find_last_answers,
    ingest_arrived,
    measure_drop,
    record_evaluation,
    repeat_evaluation,
)
from mri_model.steps.incoming import check_incoming, look_at_incoming, record_attempt
from mri_model.steps.ingestion import (
    check_data,
    find_ingested,
    make_latest,
    open_manifest,
    quality_page,
    record_dataset,
    report_quality,
    take_inventory,
    validate_inventory,
    write_manifest,
)
from mri_model.steps.pages import find_sweep, report_page, write_comparison_page, write_report_page, write_sweep_page
from mri_model.steps.registry import (
    choose_champion,
    choose_model,
    compare_with_champion,
    find_champion_before,
    find_champion_id,
    go_back,
    is_evaluated,
    judge_difference,
    judge_fold,
    pass_gate,
    promote_model,
)
from mri_model.steps.scoring import check_scoring, score_folder, write_scores_csv
from mri_model.steps.training import record_model, record_sweep, stop_dead_trainings, train_network

__all__ = [
    "check_data",
    "check_database",
    "check_incoming",
    "check_scoring",
    "check_test_files",
    "choose_champion",
    "choose_model",
    "compare_with_champion",
    "delete_files",
    "delete_rows",
    "ensure_recorded",
    "evaluate_model",
    "find_champion_before",
    "find_champion_id",
    "find_ingested",
    "find_last_answers",
    "find_sweep",
    "go_back",
    "ingest_arrived",
    "is_evaluated",
    "judge_difference",
    "judge_fold",
    "look_at_incoming",
    "make_latest",
    "measure_drop",
    "model_folder",
    "open_manifest",
    "open_store",
    "pass_gate",
    "plan_deletion",
    "promote_model",
    "quality_page",
    "query_report_tables",
    "record_attempt",
    "record_dataset",
    "record_evaluation",
    "record_model",
    "record_sweep",
    "repeat_evaluation",
    "report_page",
    "report_quality",
    "score_folder",
    "stop_dead_trainings",
    "take_inventory",
    "train_network",
    "validate_inventory",
    "write_comparison_page",
    "write_manifest",
    "write_report_page",
    "write_scores_csv",
    "write_sweep_page",
]
