"""The most similar training image of each tested image, found exactly and without an n × m matrix."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from mri_model.data.similarity import Array, Floats, Vectors, all_products, parts


@dataclass(frozen=True)
class Nearest:
    """The highest similarities of each tested image; all arrays have shape (n,).

    Attributes:
        similarity: To the nearest training image, float32; NaN if there is none. ``other`` and ``same_tumor`` likewise.
        label: Class index of the nearest training image, of the first one of ties; -1 if there is none.
        other: Similarity to the nearest training image of another class.
        same_tumor: Similarity to the nearest training image of the same tumor type.
    """

    similarity: Floats
    label: Array
    other: Floats
    same_tumor: Floats

    @classmethod
    def none(cls, n: int) -> Self:
        """No training image yet for ``n`` images."""
        nothing = np.full(n, np.nan, np.float32)
        return cls(nothing, np.full(n, -1), nothing, nothing)

    def update(self, found: Floats, labels: Array, known_labels: Array, tumor: Array) -> Self:
        """With more training images.

        Args:
            found: Similarities of the tested images (rows) to more training images (columns).
            labels, known_labels: Class indices of rows and columns.
            tumor: Code of each class's tumor type.
        """
        closest = found.argmax(axis=1)
        similarity = found[np.arange(len(found)), closest]
        is_other = labels[:, None] != known_labels
        is_same_tumor = tumor[labels][:, None] == tumor[known_labels]
        return replace(
            self,
            similarity=np.fmax(self.similarity, similarity),
            label=np.where(~(similarity <= self.similarity), known_labels[closest], self.label),
            other=np.fmax(self.other, masked_max(found, is_other)),
            same_tumor=np.fmax(self.same_tumor, masked_max(found, is_same_tumor)),
        )


def masked_max(values: Floats, chosen: Array) -> Floats:
    """Maximum of the chosen values of each row; NaN if none is chosen."""
    highest = np.where(chosen, values, -np.inf).max(axis=1)
    return np.where(chosen.any(axis=1), highest, np.nan).astype(np.float32)


def nearest(
    tested: Vectors,
    labels: Array,
    known: Vectors,
    known_labels: Array,
    tumor: Array,
) -> Nearest:
    """Compare all tested images with all training images. The result does not depend on the processor.

    Args:
        tested, labels: Tested images and their class indices, which are at least 0.
        known, known_labels: Training images and their class indices.
        tumor: Code of each class's tumor type.
    """
    found = []
    for rows in parts(len(tested)):
        levels, positions = tested.levels(rows), np.arange(rows.start, rows.stop)[:, None]
        best = Nearest.none(len(positions))
        for columns in parts(len(known)):
            others = np.arange(columns.start, columns.stop)[None]
            products = all_products(levels, known.levels(columns))
            similarity = tested.similarity(products, positions, known, others)
            best = best.update(similarity, labels[rows], known_labels[columns], tumor)
        found.append(best)
    names = vars(Nearest.none(0))
    return Nearest(**{name: np.concatenate([getattr(each, name) for each in found]) for name in names})
