"""The models of a cross-validation, one row for each fold."""

from mri_model.report.page.contents import SweepReport
from mri_model.report.page.tables import Column, TableView, interval, make_table


def fold_table(report: SweepReport) -> TableView:
    """Each model on its own validation and test images."""
    columns = [Column("Fold"), Column("Epoch kept", "d")]
    columns += [Column("Validation accuracy", ".3f"), Column("Validation macro-F1", ".3f")]
    columns += [Column("Test images", "d"), Column("Test accuracy", ".3f"), Column("95 % interval")]
    columns += [Column("Test macro-F1", ".3f")]
    tested = {row["model_id"]: row for row in report.folds.to_dict("records")}
    rows = []
    for model in report.models:
        row = tested.get(model.id, {})
        rows.append(
            (
                f"{model.fold} of {model.recipe['folds']}",
                model.metrics.epoch,
                model.metrics.val_accuracy,
                model.metrics.val_f1,
                row.get("n"),
                row.get("accuracy"),
                interval(row.get("accuracy_low"), row.get("accuracy_high")),
                row.get("macro_f1"),
            )
        )
    return make_table("The models, one for each fold", columns, rows)


def weight_table(report: SweepReport) -> TableView:
    """Which model each fold has."""
    columns = [Column("Fold"), Column("Model"), Column("Temperature", ".3f"), Column("Seconds of training", ".0f")]
    columns += [Column("SHA-256 of the weights")]
    rows = [
        (f"{each.fold} of {each.recipe['folds']}", each.id, each.temperature, each.seconds, each.sha256)
        for each in report.models
    ]
    return make_table("Ids and weights", columns, rows, "The page of one of them: mri report MODEL")
