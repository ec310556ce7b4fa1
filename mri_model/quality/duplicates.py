"""Check: files that hold the same image more than once, exactly or nearly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import n_pairs, numbered, share
from mri_model.quality.wording import many


@dataclass(frozen=True)
class Duplicates(Check):
    """Pairs of accepted files; each pair is counted once, under the closest kind.

    Attributes:
        same_bytes_pairs: Pairs of identical files.
        same_pixels_pairs: Pairs with the same decoded grey pixels in different bytes; None if not known.
        near_duplicate_pairs: Pairs of near duplicates that are neither.
        complete: Whether all pairs of near duplicates are known. If not, the numbers are lower bounds.
        images_with_near_duplicate: Number of images with at least one near duplicate.
        share_with_near_duplicate: Their share of the accepted images.
    """

    same_bytes_pairs: int
    same_pixels_pairs: int | None
    near_duplicate_pairs: int
    complete: bool
    images_with_near_duplicate: int
    share_with_near_duplicate: float | None

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        files, pixels = data.file_numbers, data.pixel_numbers
        first, second = data.duplicates.first, data.duplicates.second
        exact = files[first] == files[second]
        same_pixels_pairs = None
        if pixels is not None:
            exact |= pixels[first] == pixels[second]
            both = numbered(pixels[data.accepted], files[data.accepted])
            same_pixels_pairs = n_pairs(pixels[data.accepted]) - n_pairs(both)
        n_with = int((data.accepted_rows()["n_near_duplicates"].fillna(0) > 0).sum())
        return cls(
            same_bytes_pairs=n_pairs(files[data.accepted]),
            same_pixels_pairs=same_pixels_pairs,
            near_duplicate_pairs=int((~exact).sum()),
            complete=bool(data.duplicates.complete),
            images_with_near_duplicate=n_with,
            share_with_near_duplicate=share(n_with, int(data.accepted.sum())),
        )

    def issues(self) -> Iterator[Issue]:
        same_bytes, same_pixels = self.same_bytes_pairs, self.same_pixels_pairs or 0
        if same_bytes or same_pixels:
            told = [
                f"{many(same_bytes, 'pair of files', 'is', 'are')} identical byte for byte" if same_bytes else "",
                f"{many(same_pixels, 'pair of files', 'holds', 'hold')} the same pixels in different bytes"
                if same_pixels
                else "",
            ]
            yield Issue(
                "notice",
                "; ".join(filter(None, told)) + ".",
                "A second file of the same image adds nothing to learn from, and the image counts more than once.",
                "Keep one file of each.",
            )
        if not self.complete:
            yield Issue(
                "notice",
                "There are more pairs of near duplicates than can be listed.",
                "Every number of near duplicates in this report is a lower bound.",
                "Remove duplicates, then run the ingestion again.",
            )
