"""The tables. ``sql/migrations`` builds the same ones; a test compares the two."""

from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
)

ROUNDING_NOISE = 1e-6

SweepKind = Literal["sizes", "seeds", "folds"]
"""What differs between the trainings of a sweep: image size, seed, or fold of a cross-validation."""

ModelStatus = Literal["training", "trained", "stopped"]
"""``stopped``: the training was interrupted or cancelled; it can resume."""

Stage = Literal["candidate", "champion", "retired", "deleted"]
"""What a row of the table ``promotion`` says of a model."""


RunStatus = Literal["running", "finished", "superseded"]
"""Of a scoring run. ``running`` after ``active_until`` means interrupted; ``superseded``: the folder changed since."""


IncomingState = Literal["waiting", "started", "scored", "failed"]
"""Of an incoming folder. ``waiting``: it may still be written; ``failed``: it is tried again later."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with a time zone, stored in UTC. Moments without a time zone are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if moment.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {moment}")
        moment = moment.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Ratio(TypeDecorator[float]):
    """A fraction from 0 to 1. Up to ``ROUNDING_NOISE`` above 1 is stored as 1: a sum of floats may end there."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:
        if value is not None and 1 < value <= 1 + ROUNDING_NOISE:
            return 1.0
        return None if value is None else float(value)


# Byte order everywhere: ties by name are broken alike on both databases, whatever the server's locale.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *refers_to: ForeignKey, null: bool = False) -> Column[Any]:
    return Column(name, TEXT, *refers_to, nullable=null)


def _key(name: str, *refers_to: ForeignKey, kind: Any = TEXT) -> Column[Any]:
    return Column(name, kind, *refers_to, primary_key=True, autoincrement=False)


def _count(name: str, default: int | None = None, *, null: bool = False) -> Column[Any]:
    return Column(name, Integer, CheckConstraint(f"{name} >= 0", name=name), nullable=null, default=default)


def _ratio(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Ratio, CheckConstraint(f"{name} BETWEEN 0 AND 1", name=name), nullable=null)


def _number(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Double, nullable=null)


def _moment(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=null)


def _one_of(name: str, *values: str, default: str | None = None) -> Column[Any]:
    allowed = ", ".join(f"'{value}'" for value in values)
    check = CheckConstraint(f"{name} IN ({allowed})", name=name)
    return Column(name, TEXT, check, nullable=False, default=default, server_default=default)


dataset = Table(
    "dataset",
    metadata,
    _key("digest"),
    _text("profile"),
    _text("root"),
    Column("seed", BigInteger, nullable=False),
    _count("n_files"),
    _count("n_ok"),
    _count("n_rejected"),
    _text("data_digest"),
    Column("schema_version", Integer, nullable=False),
    _moment("ingested_at"),
)

dataset_class = Table(
    "dataset_class",
    metadata,
    _key("dataset_digest", ForeignKey("dataset.digest")),
    _key("position", kind=Integer),
    _text("label"),
    _text("tumor"),
    _text("contrast", null=True),
    _count("n_ok"),
    _count("n_train"),
    _count("n_val"),
    _count("n_test"),
    _count("n_train_grouped"),
    _count("n_val_grouped"),
    _count("n_test_grouped"),
    _count("n_groups", null=True),  # null: recorded before it was counted
)

model = Table(
    "model",
    metadata,
    _key("id"),
    _text("dataset_digest", ForeignKey("dataset.digest"), null=True),  # null for a model brought from elsewhere
    _one_of("protocol", "random", "grouped", "given"),
    _count("image_size"),
    _count("batch_size"),
    _count("epochs"),
    _count("best_epoch"),
    _ratio("train_accuracy"),
    _ratio("val_accuracy"),
    _ratio("val_precision"),
    _ratio("val_recall"),
    _ratio("val_f1"),
    _text("weights"),
    _text("device"),
    _number("seconds"),
    _moment("created_at"),
    _text("path"),
    _one_of("status", *get_args(ModelStatus), default="trained"),
    Column("recipe", JSON(none_as_null=True), nullable=False),
    # of a model that is one fold of a cross-validation, from 1; null for all others
    *(Column(name, Integer, CheckConstraint(f"{name} > 0", name=name), nullable=True) for name in ("fold", "folds")),
    # null while it trains, and for models recorded before these were
    _text("sha256", null=True),
    _number("temperature", null=True),
    Column("preprocessing", JSON(none_as_null=True), nullable=True),
)

sweep = Table("sweep", metadata, _key("id"), _one_of("kind", *get_args(SweepKind)), _moment("recorded_at"))

sweep_model = Table(  # a model may belong to several sweeps, or to none
    "sweep_model",
    metadata,
    _key("sweep_id", ForeignKey("sweep.id")),
    _key("model_id", ForeignKey("model.id")),
    _count("position"),
)

epoch = Table(
    "epoch",
    metadata,
    _key("model_id", ForeignKey("model.id")),
    _key("epoch", kind=Integer),
    _number("learning_rate"),
    _number("train_loss", null=True),  # null when training diverged to NaN
    _ratio("train_accuracy"),
    _number("val_loss", null=True),
    _ratio("val_accuracy"),
    _ratio("val_precision"),
    _ratio("val_recall"),
    _ratio("val_f1"),
    _number("seconds"),
)

promotion = Table(  # append-only: the last row of a model says its stage; without one it is a candidate
    "promotion",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("model_id"),  # refers to no row: the history of a deleted model stays
    _one_of("stage", *get_args(Stage)),
    _text("who"),
    _text("why"),
    _moment("at"),
    Column("forced", Boolean, nullable=False, default=False, server_default=false()),
    _text("objections", null=True),  # of the gate, against a model that was promoted nevertheless
)

evaluation = Table(
    "evaluation",
    metadata,
    _key("id"),
    # of one model, or of a sweep: the predictions of all folds of a cross-validation together
    _text("model_id", ForeignKey("model.id"), null=True),
    _text("sweep_id", ForeignKey("sweep.id"), null=True),
    CheckConstraint("(model_id IS NULL) <> (sweep_id IS NULL)", name="model_or_sweep"),
    _text("dataset_digest", ForeignKey("dataset.digest")),
    _text("split"),
    _count("n"),
    _ratio("accuracy"),
    _ratio("macro_precision"),
    _ratio("macro_recall"),
    _ratio("macro_f1"),
    _ratio("weighted_precision"),
    _ratio("weighted_recall"),
    _ratio("weighted_f1"),
    _count("n_seen", 0),
    _count("duplicate_free_n", 0),
    _ratio("duplicate_free_accuracy", null=True),
    _ratio("duplicate_free_macro_f1", null=True),
    _ratio("tumor_accuracy", null=True),
    _ratio("tumor_macro_f1", null=True),
    _ratio("contrast_accuracy", null=True),
    _ratio("contrast_macro_f1", null=True),
    _ratio("accuracy_low", null=True),
    _ratio("accuracy_high", null=True),
    _ratio("macro_f1_low", null=True),
    _ratio("macro_f1_high", null=True),
    _count("near_duplicate_n", null=True),
    _ratio("near_duplicate_accuracy", null=True),
    _count("similar_n", null=True),
    _ratio("similar_accuracy", null=True),
    _count("unlike_n", null=True),
    _ratio("unlike_accuracy", null=True),
    _count("examination_n", null=True),
    _ratio("examination_accuracy", null=True),
    _count("group_n", null=True),
    _ratio("group_tumor_accuracy", null=True),
    *(_ratio(name, null=True) for name in ("top3_accuracy", "top5_accuracy", "mean_average_precision")),
    *(_ratio(name, null=True) for name in ("calibration_error", "uncalibrated_error", "risk_coverage_area")),
    _number("seconds"),
    _moment("created_at"),
)

class_metric = Table(
    "class_metric",
    metadata,
    _key("evaluation_id", ForeignKey("evaluation.id")),
    _key("position", kind=Integer),
    _text("label"),
    _text("tumor"),
    _text("contrast", null=True),
    _ratio("precision"),
    _ratio("recall"),
    _ratio("f1"),
    _count("support"),
    _count("n_groups", null=True),  # null: recorded before it was counted
    *(_ratio(name, null=True) for name in ("f1_low", "f1_high", "average_precision")),
)

contrast_metric = Table(
    "contrast_metric",
    metadata,
    _key("evaluation_id", ForeignKey("evaluation.id")),
    _key("contrast"),
    _count("n"),
    _ratio("accuracy", null=True),
    _ratio("macro_f1", null=True),
)

similarity_metric = Table(  # bins of the similarity to the nearest training image
    "similarity_metric",
    metadata,
    _key("evaluation_id", ForeignKey("evaluation.id")),
    _key("similarity"),
    _key("low", kind=Double),
    _number("high"),
    _count("n"),
    _ratio("accuracy"),
    _ratio("macro_f1"),
    _ratio("nearest_accuracy"),
    _number("nearest_other", null=True),
)

evaluated_image = Table(  # what a model answered about each image of an evaluation
    "evaluated_image",
    metadata,
    _key("evaluation_id", ForeignKey("evaluation.id")),
    _key("path"),
    _text("sha256"),
    Column("group_number", Integer, nullable=True),
    _text("true_label"),
    _text("predicted_label"),
    _ratio("probability"),
    _ratio("uncalibrated"),
    Column("true_rank", Integer, CheckConstraint("true_rank > 0", name="true_rank"), nullable=False),
    _one_of("resemblance", "near duplicate", "similar", "unlike"),
    Column("duplicate_free", Boolean, nullable=False),
    _number("pixels", null=True),  # null: there is no training image
    _number("edges", null=True),
)

confusion = Table(
    "confusion",
    metadata,
    _key("evaluation_id", ForeignKey("evaluation.id")),
    _key("true_label"),
    _key("predicted_label"),
    Column("n", Integer, CheckConstraint("n > 0", name="n"), nullable=False),
)

scoring_run = Table(
    "scoring_run",
    metadata,
    _key("id"),
    _text("model_id", ForeignKey("model.id")),
    _text("folder"),
    _count("n_found", 0),
    _count("n_scored", 0),
    _count("n_abstained", 0),
    _count("n_rejected", 0),
    _count("n_reused", 0),
    _text("parquet", null=True),
    _moment("started_at"),
    _moment("finished_at", null=True),
    # null and "finished" for runs recorded before these were
    _text("listing", null=True),
    _one_of("status", *get_args(RunStatus), default="finished"),
    _moment("active_until", null=True),
    _text("engine", null=True),
    _ratio("risk", null=True),
)
# one unfinished run at a time for a folder as it is: whoever starts it a second time joins the first
Index(
    "ix_scoring_run_running",
    scoring_run.c.model_id,
    scoring_run.c.folder,
    scoring_run.c.listing,
    unique=True,
    sqlite_where=scoring_run.c.status == "running",
    postgresql_where=scoring_run.c.status == "running",
)

scoring_shard = Table(  # a part of a running scoring run; a worker holds it by a lease
    "scoring_shard",
    metadata,
    _key("run_id", ForeignKey("scoring_run.id")),
    _key("number", kind=Integer),
    _count("n_files"),
    _count("fence", 0),
    _text("worker", null=True),
    _moment("lease_until", null=True),
    _moment("done_at", null=True),
    *(_count(name, null=True) for name in ("n_scored", "n_abstained", "n_rejected", "n_reused")),
)

prediction = Table(
    "prediction",
    metadata,
    _text("run_id", ForeignKey("scoring_run.id")),
    # The key is unique (model_id, sha256, path); path comes second because known files are looked up by it.
    _key("model_id", ForeignKey("model.id")),
    _key("path"),
    _key("sha256"),
    _one_of("status", "scored", "abstained", "rejected"),
    _text("reason", null=True),
    _text("label", null=True),
    _text("tumor", null=True),
    _text("contrast", null=True),
    _ratio("probability", null=True),
    _moment("scored_at", null=True),
    # null for predictions recorded before these were
    *(_ratio(name, null=True) for name in ("tumor_probability", "contrast_probability")),
    Column("top5", JSON(none_as_null=True), nullable=True),
    _number("seconds", null=True),
    _moment("seen_at", null=True),
    _number("distance", null=True),  # from the training images; null for a model without a guard
    Column("prediction_set", JSON(none_as_null=True), nullable=True),
    _ratio("risk", null=True),  # that the status was decided for; null: none was stated
    Index(None, "run_id"),
)

incoming_look = Table(  # the last look at a folder of incoming folders
    "incoming_look",
    metadata,
    _key("incoming"),
    _moment("looked_at"),
    _count("n_folders"),
    _count("n_loose"),  # files and links directly in it, which are not scored
)

incoming_folder = Table(
    "incoming_folder",
    metadata,
    _key("folder"),
    _text("incoming", ForeignKey("incoming_look.incoming")),
    _text("listing"),  # digest, as in scoring_run
    _count("n_files"),
    _one_of("state", *get_args(IncomingState)),
    _moment("first_seen_at"),
    _moment("changed_at"),  # when it was first seen with this listing
    _moment("looked_at"),  # of a folder that is gone: before the last look
    _moment("tried_at", null=True),  # when its scoring was started, or failed
    _count("n_failures", 0),  # of the scoring of this listing
    _text("run_id", null=True),  # refers to no row: a deleted run does not make the folder a new one
    _text("problem", null=True),
)

view_digest = Table("view_digest", metadata, _key("name"), _text("digest"))


def is_moment(column: str) -> bool:
    """Whether a column of a query's answer holds moments, by its name: ``created_at``, ``at``, ``since``, ``until``.

    SQLite stores them as text, and its answers do not say what a column holds.
    """
    return column in ("at", "since", "until") or column.endswith(("_at", "_until"))


def is_flag(column: str) -> bool:
    """Whether a column of a query's answer is true or false, by its name: SQLite stores 0 and 1."""
    return column == "forced"
