"""What the data set holds: groups, image sizes and formats. It states facts and finds no issue."""

from dataclasses import dataclass
from typing import Self

import pandas as pd

from mri_model.quality.check import Check
from mri_model.quality.dataset import DataSet
from mri_model.quality.measures import counted, share


@dataclass(frozen=True)
class Overview(Check):
    """Facts about the accepted images.

    Attributes:
        n_groups: Number of groups of images that probably come from one source, single images included.
        largest_group: Number of images in the largest group.
        n_sizes: Number of different image sizes.
        height: Smallest and largest height in pixels; None without images.
        width: Smallest and largest width in pixels; None without images.
        most_common_size: ``height×width`` in pixels; None without images.
        most_common_share: Share of the images that have this size.
        stored_channels: Number of images per number of channels in the file, most frequent first.
        formats: Number of images per format, most frequent first.
    """

    n_groups: int
    largest_group: int
    n_sizes: int
    height: tuple[int, int] | None
    width: tuple[int, int] | None
    most_common_size: str | None
    most_common_share: float | None
    stored_channels: dict[str, int]
    formats: dict[str, int]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        rows = data.accepted_rows()
        groups = rows["group"].value_counts()
        sizes = counted(rows["height"].astype("Int64").astype(str) + "×" + rows["width"].astype("Int64").astype(str))
        common = next(iter(sizes), None)
        return cls(
            n_groups=len(groups),
            largest_group=int(groups.max()) if len(groups) else 0,
            n_sizes=len(sizes),
            height=extent(rows["height"]),
            width=extent(rows["width"]),
            most_common_size=common,
            most_common_share=share(sizes[common], len(rows)) if common else None,
            stored_channels=counted(rows["stored_channels"].astype("Int64").astype(str)),
            formats=counted(rows["format"].fillna("unknown")),
        )


def extent(values: pd.Series) -> tuple[int, int] | None:
    """Smallest and largest value."""
    return (int(values.min()), int(values.max())) if len(values) else None
