"""Tables of single images and of their similarity to the training images."""

import pandas as pd

from mri_model.report.page.tables import Bar, Column, TableView, make_table

MOST_MISTAKES = 20

SIMILARITIES = {"pixels": "Similarity of the pixels", "edges": "Similarity of the edges"}


def surest_mistakes(images: pd.DataFrame, most: int = MOST_MISTAKES) -> pd.DataFrame:
    """The wrong answers with the highest probability, the highest first."""
    wrong = images[images["true_label"] != images["predicted_label"]]
    return wrong.sort_values(["probability", "path"], ascending=[False, True]).head(most)


def mistake_table(images: pd.DataFrame) -> TableView:
    columns = [Column("File"), Column("True class"), Column("Answer"), Column("Probability", ".3f")]
    columns += [Column("Rank of the true class", "d"), Column("Resemblance to training")]
    names = ["path", "true_label", "predicted_label", "probability", "true_rank", "resemblance"]
    rows = surest_mistakes(images)[names].itertuples(index=False)
    note = "Paths are relative to the folder of the data."
    return make_table("Wrong answers with the highest probability", columns, rows, note)


def similarity_tables(similarities: pd.DataFrame) -> list[TableView]:
    """Accuracy by similarity to the nearest training image, a table for each similarity."""
    columns = [Column("Similarity"), Column("Accuracy as a bar", "bar"), Column("Accuracy", ".3f")]
    columns += [Column("Class of the nearest image", ".3f"), Column("Macro-F1", ".3f"), Column("Images", "d")]
    tables = []
    for name, title in SIMILARITIES.items():
        rows = [
            (
                f"below {row['high']:.2f}" if row["low"] <= -1 else f"{row['low']:.2f} to {row['high']:.2f}",
                Bar(100 * row["accuracy"]),
                row["accuracy"],
                row["nearest_accuracy"],
                row["macro_f1"],
                int(row["n"]),
            )
            for row in similarities[similarities["similarity"] == name].sort_values("low").to_dict("records")
        ]
        if rows:
            tables.append(make_table(title, columns, rows))
    return tables
