"""The tables. ``sql/migrations`` builds the same ones; a test compares the two."""

from typing import Literal, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    false,
)

from mri_model.models.reference import DriftState
from mri_model.results.columns import count, key, moment, number, one_of, ratio, text

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


metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


dataset = Table(
    "dataset",
    metadata,
    key("digest"),
    text("profile"),
    text("root"),
    Column("seed", BigInteger, nullable=False),
    count("n_files"),
    count("n_ok"),
    count("n_rejected"),
    text("data_digest"),
    Column("schema_version", Integer, nullable=False),
    moment("ingested_at"),
)

dataset_class = Table(
    "dataset_class",
    metadata,
    key("dataset_digest", ForeignKey("dataset.digest")),
    key("position", kind=Integer),
    text("label"),
    text("tumor"),
    text("contrast", null=True),
    count("n_ok"),
    count("n_train"),
    count("n_val"),
    count("n_test"),
    count("n_train_grouped"),
    count("n_val_grouped"),
    count("n_test_grouped"),
    count("n_groups", null=True),  # null: recorded before it was counted
)

model = Table(
    "model",
    metadata,
    key("id"),
    text("dataset_digest", ForeignKey("dataset.digest"), null=True),  # null for a model brought from elsewhere
    one_of("protocol", "random", "grouped", "given"),
    count("image_size"),
    count("batch_size"),
    count("epochs"),
    count("best_epoch"),
    ratio("train_accuracy"),
    ratio("val_accuracy"),
    ratio("val_precision"),
    ratio("val_recall"),
    ratio("val_f1"),
    text("weights"),
    text("device"),
    number("seconds"),
    moment("created_at"),
    text("path"),
    one_of("status", *get_args(ModelStatus), default="trained"),
    Column("recipe", JSON(none_as_null=True), nullable=False),
    # of a model that is one fold of a cross-validation, from 1; null for all others
    *(Column(name, Integer, CheckConstraint(f"{name} > 0", name=name), nullable=True) for name in ("fold", "folds")),
    # null while it trains, and for models recorded before these were
    text("sha256", null=True),
    number("temperature", null=True),
    Column("preprocessing", JSON(none_as_null=True), nullable=True),
)

sweep = Table("sweep", metadata, key("id"), one_of("kind", *get_args(SweepKind)), moment("recorded_at"))

sweep_model = Table(  # a model may belong to several sweeps, or to none
    "sweep_model",
    metadata,
    key("sweep_id", ForeignKey("sweep.id")),
    key("model_id", ForeignKey("model.id")),
    count("position"),
)

epoch = Table(
    "epoch",
    metadata,
    key("model_id", ForeignKey("model.id")),
    key("epoch", kind=Integer),
    number("learning_rate"),
    number("train_loss", null=True),  # null when training diverged to NaN
    ratio("train_accuracy"),
    number("val_loss", null=True),
    ratio("val_accuracy"),
    ratio("val_precision"),
    ratio("val_recall"),
    ratio("val_f1"),
    number("seconds"),
)

promotion = Table(  # append-only: the last row of a model says its stage; without one it is a candidate
    "promotion",
    metadata,
    Column("id", Integer, primary_key=True),
    text("model_id"),  # refers to no row: the history of a deleted model stays
    one_of("stage", *get_args(Stage)),
    text("who"),
    text("why"),
    moment("at"),
    Column("forced", Boolean, nullable=False, default=False, server_default=false()),
    text("objections", null=True),  # of the gate, against a model that was promoted nevertheless
)

evaluation = Table(
    "evaluation",
    metadata,
    key("id"),
    # of one model, or of a sweep: the predictions of all folds of a cross-validation together
    text("model_id", ForeignKey("model.id"), null=True),
    text("sweep_id", ForeignKey("sweep.id"), null=True),
    CheckConstraint("(model_id IS NULL) <> (sweep_id IS NULL)", name="model_or_sweep"),
    text("dataset_digest", ForeignKey("dataset.digest")),
    text("split"),
    count("n"),
    ratio("accuracy"),
    ratio("macro_precision"),
    ratio("macro_recall"),
    ratio("macro_f1"),
    ratio("weighted_precision"),
    ratio("weighted_recall"),
    ratio("weighted_f1"),
    count("n_seen", 0),
    count("duplicate_free_n", 0),
    ratio("duplicate_free_accuracy", null=True),
    ratio("duplicate_free_macro_f1", null=True),
    ratio("tumor_accuracy", null=True),
    ratio("tumor_macro_f1", null=True),
    ratio("contrast_accuracy", null=True),
    ratio("contrast_macro_f1", null=True),
    ratio("accuracy_low", null=True),
    ratio("accuracy_high", null=True),
    ratio("macro_f1_low", null=True),
    ratio("macro_f1_high", null=True),
    count("near_duplicate_n", null=True),
    ratio("near_duplicate_accuracy", null=True),
    count("similar_n", null=True),
    ratio("similar_accuracy", null=True),
    count("unlike_n", null=True),
    ratio("unlike_accuracy", null=True),
    count("examination_n", null=True),
    ratio("examination_accuracy", null=True),
    count("group_n", null=True),
    ratio("group_tumor_accuracy", null=True),
    *(ratio(name, null=True) for name in ("top3_accuracy", "top5_accuracy", "mean_average_precision")),
    *(ratio(name, null=True) for name in ("calibration_error", "uncalibrated_error", "risk_coverage_area")),
    number("seconds"),
    moment("created_at"),
)

class_metric = Table(
    "class_metric",
    metadata,
    key("evaluation_id", ForeignKey("evaluation.id")),
    key("position", kind=Integer),
    text("label"),
    text("tumor"),
    text("contrast", null=True),
    ratio("precision"),
    ratio("recall"),
    ratio("f1"),
    count("support"),
    count("n_groups", null=True),  # null: recorded before it was counted
    *(ratio(name, null=True) for name in ("f1_low", "f1_high", "average_precision")),
)

contrast_metric = Table(
    "contrast_metric",
    metadata,
    key("evaluation_id", ForeignKey("evaluation.id")),
    key("contrast"),
    count("n"),
    ratio("accuracy", null=True),
    ratio("macro_f1", null=True),
)

similarity_metric = Table(  # bins of the similarity to the nearest training image
    "similarity_metric",
    metadata,
    key("evaluation_id", ForeignKey("evaluation.id")),
    key("similarity"),
    key("low", kind=Double),
    number("high"),
    count("n"),
    ratio("accuracy"),
    ratio("macro_f1"),
    ratio("nearest_accuracy"),
    number("nearest_other", null=True),
)

evaluated_image = Table(  # what a model answered about each image of an evaluation
    "evaluated_image",
    metadata,
    key("evaluation_id", ForeignKey("evaluation.id")),
    key("path"),
    text("sha256"),
    Column("group_number", Integer, nullable=True),
    text("true_label"),
    text("predicted_label"),
    ratio("probability"),
    ratio("uncalibrated"),
    Column("true_rank", Integer, CheckConstraint("true_rank > 0", name="true_rank"), nullable=False),
    one_of("resemblance", "near duplicate", "similar", "unlike"),
    Column("duplicate_free", Boolean, nullable=False),
    number("pixels", null=True),  # null: there is no training image
    number("edges", null=True),
)

confusion = Table(
    "confusion",
    metadata,
    key("evaluation_id", ForeignKey("evaluation.id")),
    key("true_label"),
    key("predicted_label"),
    Column("n", Integer, CheckConstraint("n > 0", name="n"), nullable=False),
)

scoring_run = Table(
    "scoring_run",
    metadata,
    key("id"),
    text("model_id", ForeignKey("model.id")),
    text("folder"),
    count("n_found", 0),
    count("n_scored", 0),
    count("n_abstained", 0),
    count("n_rejected", 0),
    count("n_reused", 0),
    text("parquet", null=True),
    moment("started_at"),
    moment("finished_at", null=True),
    # null and "finished" for runs recorded before these were
    text("listing", null=True),
    one_of("status", *get_args(RunStatus), default="finished"),
    moment("active_until", null=True),
    text("engine", null=True),
    ratio("risk", null=True),
    # comparison with the model's validation images; null: nothing was compared
    one_of("drift", *get_args(DriftState), null=True),
    text("drift_reason", null=True),
    count("drift_images", null=True),
    count("drift_sources", null=True),
    Column(
        "drift_waiting", JSON(none_as_null=True), nullable=True
    ),  # images to be tested with those of other small runs
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
    key("run_id", ForeignKey("scoring_run.id")),
    key("number", kind=Integer),
    count("n_files"),
    count("fence", 0),
    text("worker", null=True),
    moment("lease_until", null=True),
    moment("done_at", null=True),
    *(count(name, null=True) for name in ("n_scored", "n_abstained", "n_rejected", "n_reused")),
)

prediction = Table(
    "prediction",
    metadata,
    text("run_id", ForeignKey("scoring_run.id")),
    # The key is unique (model_id, sha256, path); path comes second because known files are looked up by it.
    key("model_id", ForeignKey("model.id")),
    key("path"),
    key("sha256"),
    one_of("status", "scored", "abstained", "rejected"),
    text("reason", null=True),
    text("label", null=True),
    text("tumor", null=True),
    text("contrast", null=True),
    ratio("probability", null=True),
    moment("scored_at", null=True),
    # null for predictions recorded before these were
    *(ratio(name, null=True) for name in ("tumor_probability", "contrast_probability")),
    Column("top5", JSON(none_as_null=True), nullable=True),
    number("seconds", null=True),
    moment("seen_at", null=True),
    number("distance", null=True),  # from the training images; null for a model without a guard
    Column("prediction_set", JSON(none_as_null=True), nullable=True),
    ratio("risk", null=True),  # that the status was decided for; null: none was stated
    *(text(name, null=True) for name in ("series", "patient")),  # keyed hashes; null for a plain image
    Column("probabilities", JSON(none_as_null=True), nullable=True),  # of all classes, of an image of a series
    Index(None, "run_id"),
)

series_prediction = Table(  # the images of a series together, as a finished run found them
    "series_prediction",
    metadata,
    key("run_id", ForeignKey("scoring_run.id")),
    key("series"),
    text("model_id", ForeignKey("model.id")),
    text("patient", null=True),
    *(count(name) for name in ("n_images", "n_scored", "n_abstained", "n_rejected")),
    one_of("status", "scored", "abstained", "rejected"),
    *(text(name, null=True) for name in ("reason", "label", "tumor", "contrast")),
    *(ratio(name, null=True) for name in ("probability", "tumor_probability", "contrast_probability")),
    Column("top5", JSON(none_as_null=True), nullable=True),
    number("distance", null=True),  # median of the images' distances
    ratio("risk", null=True),
    moment("scored_at", null=True),  # when the last of its images was scored
)

drift_metric = Table(  # a tested run against the model's validation images
    "drift_metric",
    metadata,
    key("run_id", ForeignKey("scoring_run.id")),
    key("statistic"),
    ratio("distance"),
    ratio("expected"),  # under chance
    ratio("p_value"),
    Column("differs", Boolean, nullable=False),
)

incoming_look = Table(  # the last look at a folder of incoming folders
    "incoming_look",
    metadata,
    key("incoming"),
    moment("looked_at"),
    count("n_folders"),
    count("n_loose"),  # files and links directly in it, which are not scored
)

incoming_folder = Table(
    "incoming_folder",
    metadata,
    key("folder"),
    text("incoming", ForeignKey("incoming_look.incoming")),
    text("listing"),  # digest, as in scoring_run
    count("n_files"),
    one_of("state", *get_args(IncomingState)),
    moment("first_seen_at"),
    moment("changed_at"),  # when it was first seen with this listing
    moment("looked_at"),  # of a folder that is gone: before the last look
    moment("tried_at", null=True),  # when its scoring was started, or failed
    count("n_failures", 0),  # of the scoring of this listing
    text("run_id", null=True),  # refers to no row: a deleted run does not make the folder a new one
    text("problem", null=True),
)

view_digest = Table("view_digest", metadata, key("name"), text("digest"))
