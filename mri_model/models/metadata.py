"""What a model folder says of itself, read without PyTorch."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from mri_model.errors import MriError
from mri_model.files import read_json

FORMAT = 2
METADATA_KEYS = {"id", "classes", "preprocessing", "protocol", "recipe", "manifest", "metrics", "sha256"}
METADATA_KEYS |= {"temperature", "tta_hflip"}


def read_metadata(folder: Path) -> dict[str, Any]:
    """The model's metadata. Raises MriError where the folder holds no complete model of this format."""
    try:
        metadata = read_json(folder / "model.json")
    except FileNotFoundError:
        raise MriError(f"there is no trained model in {folder}", "run: mri train") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise MriError(f"{folder / 'model.json'} is damaged: {error}", f"delete {folder} and train again") from None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT or not metadata.keys() >= METADATA_KEYS:
        raise MriError(f"{folder} is not a model folder of format {FORMAT}", f"delete {folder} and train again")
    return metadata


def read_history(folder: Path) -> pd.DataFrame:
    """One row an epoch. Raises MriError where ``history.csv`` is missing or damaged."""
    try:
        history = pd.read_csv(folder / "history.csv")
    except (OSError, ValueError):
        history = pd.DataFrame()
    if "val_f1" not in history:
        raise MriError(f"{folder / 'history.csv'} is missing or damaged", f"delete {folder} and train again")
    return history
