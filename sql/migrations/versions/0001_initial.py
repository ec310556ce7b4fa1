"""The first tables: data sets, models, evaluations, scoring runs."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def column(name: str, kind: Any, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def create(table: str, key: list[str], *parts: Any) -> None:
    op.create_table(table, *parts, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")))


def refers(table: str, name: str, target: str) -> sa.ForeignKeyConstraint:
    owner = target.partition(".")[0]
    return sa.ForeignKeyConstraint([name], [target], name=op.f(f"fk_{table}_{name}_{owner}"))


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def counts(table: str, *names: str) -> list[Any]:
    return [
        *(column(name, sa.Integer()) for name in names),
        *(check(table, name, f"{name} >= 0") for name in names),
    ]


def ratios(table: str, *names: str, null: bool = False) -> list[Any]:
    return [
        *(column(name, sa.Double(), null=null) for name in names),
        *(check(table, name, f"{name} BETWEEN 0 AND 1") for name in names),
    ]


def upgrade() -> None:
    create_data()
    create_models()
    create_evaluations()
    create_scores()
    create("view_digest", ["name"], column("name", TEXT), column("digest", TEXT))


def create_data() -> None:
    create(
        "dataset",
        ["digest"],
        column("digest", TEXT),
        column("profile", TEXT),
        column("root", TEXT),
        column("seed", sa.BigInteger()),
        *counts("dataset", "n_files", "n_ok", "n_rejected"),
        column("data_digest", TEXT),
        column("schema_version", sa.Integer()),
        column("ingested_at", MOMENT),
    )
    create(
        "dataset_class",
        ["dataset_digest", "position"],
        column("dataset_digest", TEXT),
        column("position", sa.Integer()),
        column("label", TEXT),
        column("tumor", TEXT),
        column("contrast", TEXT, null=True),
        *counts("dataset_class", "n_ok", "n_train", "n_val", "n_test"),
        *counts("dataset_class", "n_train_grouped", "n_val_grouped", "n_test_grouped"),
        refers("dataset_class", "dataset_digest", "dataset.digest"),
    )


def create_models() -> None:
    create(
        "model",
        ["id"],
        column("id", TEXT),
        column("dataset_digest", TEXT, null=True),
        column("sweep_id", TEXT),
        column("protocol", TEXT),
        *counts("model", "image_size", "batch_size", "epochs", "best_epoch"),
        *ratios("model", "train_accuracy", "val_accuracy", "val_precision", "val_recall", "val_f1"),
        column("weights", TEXT),
        column("device", TEXT),
        column("seconds", sa.Double()),
        column("created_at", MOMENT),
        column("path", TEXT),
        column("recipe", sa.JSON()),
        check("model", "protocol", "protocol IN ('random', 'grouped')"),
        refers("model", "dataset_digest", "dataset.digest"),
    )
    create(
        "epoch",
        ["model_id", "epoch"],
        column("model_id", TEXT),
        column("epoch", sa.Integer()),
        column("learning_rate", sa.Double()),
        column("train_loss", sa.Double(), null=True),
        *ratios("epoch", "train_accuracy"),
        column("val_loss", sa.Double(), null=True),
        *ratios("epoch", "val_accuracy", "val_precision", "val_recall", "val_f1"),
        column("seconds", sa.Double()),
        refers("epoch", "model_id", "model.id"),
    )
    create(
        "promotion",
        ["id"],
        sa.Column("id", sa.Integer(), nullable=False),
        column("model_id", TEXT),
        column("stage", TEXT),
        column("who", TEXT),
        column("why", TEXT),
        column("at", MOMENT),
        check("promotion", "stage", "stage IN ('candidate', 'champion', 'retired')"),
        refers("promotion", "model_id", "model.id"),
    )


def create_evaluations() -> None:
    create(
        "evaluation",
        ["id"],
        column("id", TEXT),
        column("model_id", TEXT),
        column("dataset_digest", TEXT),
        column("split", TEXT),
        *counts("evaluation", "n"),
        *ratios("evaluation", "accuracy", "macro_precision", "macro_recall", "macro_f1"),
        *ratios("evaluation", "weighted_precision", "weighted_recall", "weighted_f1"),
        *counts("evaluation", "twin_free_n"),
        *ratios("evaluation", "twin_free_accuracy", "twin_free_macro_f1", null=True),
        column("seconds", sa.Double()),
        column("created_at", MOMENT),
        refers("evaluation", "model_id", "model.id"),
        refers("evaluation", "dataset_digest", "dataset.digest"),
    )
    create(
        "class_metric",
        ["evaluation_id", "position"],
        column("evaluation_id", TEXT),
        column("position", sa.Integer()),
        column("label", TEXT),
        column("tumor", TEXT),
        column("contrast", TEXT, null=True),
        *ratios("class_metric", "precision", "recall", "f1"),
        *counts("class_metric", "support"),
        refers("class_metric", "evaluation_id", "evaluation.id"),
    )
    create(
        "contrast_metric",
        ["evaluation_id", "contrast"],
        column("evaluation_id", TEXT),
        column("contrast", TEXT),
        *counts("contrast_metric", "n"),
        *ratios("contrast_metric", "accuracy", "macro_f1", null=True),
        refers("contrast_metric", "evaluation_id", "evaluation.id"),
    )
    create(
        "confusion",
        ["evaluation_id", "true_label", "predicted_label"],
        column("evaluation_id", TEXT),
        column("true_label", TEXT),
        column("predicted_label", TEXT),
        column("n", sa.Integer()),
        check("confusion", "n", "n > 0"),
        refers("confusion", "evaluation_id", "evaluation.id"),
    )


def create_scores() -> None:
    create(
        "scoring_run",
        ["id"],
        column("id", TEXT),
        column("model_id", TEXT),
        column("folder", TEXT),
        *counts("scoring_run", "n_found", "n_scored", "n_abstained", "n_rejected", "n_reused"),
        column("parquet", TEXT, null=True),
        column("started_at", MOMENT),
        column("finished_at", MOMENT, null=True),
        refers("scoring_run", "model_id", "model.id"),
    )
    create(
        "prediction",
        ["model_id", "path", "sha256"],
        column("run_id", TEXT),
        column("model_id", TEXT),
        column("path", TEXT),
        column("sha256", TEXT),
        column("status", TEXT),
        column("reason", TEXT, null=True),
        column("label", TEXT, null=True),
        column("tumor", TEXT, null=True),
        column("contrast", TEXT, null=True),
        *ratios("prediction", "probability", null=True),
        column("scored_at", MOMENT, null=True),
        check("prediction", "status", "status IN ('scored', 'abstained', 'rejected')"),
        refers("prediction", "run_id", "scoring_run.id"),
        refers("prediction", "model_id", "model.id"),
    )
    op.create_index(op.f("ix_prediction_run_id"), "prediction", ["run_id"])


def downgrade() -> None:
    raise NotImplementedError("results are never thrown away; restore a backup instead")
