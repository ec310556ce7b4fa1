"""The numbers that the published report prints, to show beside those of a model."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.toml")

Averages = tuple[float, float, float]
"""Precision, recall and F1."""


@dataclass(frozen=True)
class PublishedResults:
    """The report's six tables, row by row in its order.

    Attributes:
        source: Author, title and year.
        n_images, n_test: Number of images of the data set and of its test split.
        table_1, table_2: Contrast or tumor type, images, percentage.
        table_3: Image size (pixels), batch size, training accuracy, then accuracy and macro-averaged precision, recall
            and F1 on the validation split.
        accuracy, macro, weighted: Table 4.
        table_5: Class, precision, recall, F1, test images.
        table_6: Contrast, test images, accuracy as a percentage.
    """

    source: str
    n_images: int
    n_test: int
    table_1: tuple[tuple[str, int, float], ...]
    table_2: tuple[tuple[str, int, float], ...]
    table_3: tuple[tuple[int, int, float, float, float, float, float], ...]
    accuracy: float
    macro: Averages
    weighted: Averages
    table_5: tuple[tuple[str, float, float, float, int], ...]
    table_6: tuple[tuple[str, int, float], ...]

    def has_classes(self, classes: Collection[str]) -> bool:
        """Whether these are the report's classes, by their names."""
        return {row[0] for row in self.table_5} == set(classes)


@cache
def published_results() -> PublishedResults:
    """Read ``published.toml``."""
    stored = tomllib.loads(FILE.read_text(encoding="utf-8"))
    tables = {f"table_{number}": tuple(tuple(row) for row in stored[f"table_{number}"]) for number in (1, 2, 3, 6)}
    rows = tuple((name, float(p), float(r), float(f1), n) for name, p, r, f1, n in stored["table_5"])
    return PublishedResults(
        source=stored["source"],
        n_images=stored["n_images"],
        n_test=stored["n_test"],
        accuracy=stored["table_4"]["accuracy"],
        macro=tuple(stored["table_4"]["macro"]),
        weighted=tuple(stored["table_4"]["weighted"]),
        table_5=rows,
        **tables,
    )
