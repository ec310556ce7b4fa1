"""Training without the stages around it."""

from pathlib import Path
from typing import Any

import torch

from mri_model.data.manifest import Manifest
from mri_model.data.pixel_store import PixelStore
from mri_model.training import trainer
from mri_model.training.recipe import Recipe

CPU = torch.device("cpu")


def train(manifest: Manifest, pixels: PixelStore, recipe: Recipe, models: Path, **options: Any) -> Path:
    """``options``: further fields of ``TrainingJob``."""
    return trainer.train(trainer.TrainingJob(manifest, recipe, models, CPU, **options), pixels)
