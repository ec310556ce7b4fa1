"""Parts of a report that come from the manifest of the data and its files."""

from pathlib import Path

import pandas as pd

from mri_model.data.fingerprints import Fingerprints, read_fingerprints
from mri_model.data.manifest import Manifest
from mri_model.errors import MriError
from mri_model.quality.page import Section, quality_section
from mri_model.quality.report import read_dataset, read_quality_report
from mri_model.report.page.contents import Exhibits
from mri_model.report.page.exhibits import collect_exhibits


def data_quality(manifest: Manifest, with_images: bool) -> Section | None:
    """The quality report of a data set as a page shows it; None if it is missing or damaged."""
    try:
        report = read_quality_report(manifest.folder)
        n = len(manifest.frame)  # only pictures need the fingerprints, which are large
        fingerprints = read_fingerprints(manifest.folder, n) if with_images else Fingerprints.zeros(n)
        data = read_dataset(manifest, fingerprints)
    except MriError:
        return None
    return quality_section(report, data, with_images)


def exhibits_of(folder: Path | None, manifest: Manifest | None, images: pd.DataFrame) -> Exhibits:
    """Pictures of the data; none if the manifest is gone.

    Args:
        folder: Of the model, which is loaded for the overlays; None for samples alone.
        manifest: The data it was evaluated on.
        images: Rows of ``evaluated_image``.
    """
    import torch

    from mri_model.models.artifact import load_model

    if manifest is None:
        return Exhibits()
    model = load_model(folder, torch.device("cpu")) if folder else None
    return collect_exhibits(model, manifest, images)
