"""score-mri: folder of new images → one row a file."""

from pathlib import Path
from typing import Literal

from prefect import flow

from tasks import score as tasks
from tasks.states import plainly


@flow(name="score-mri")
@plainly
def score_mri(folder: Path, model: str = "latest", device: Literal["auto", "cpu", "cuda"] = "auto") -> str:
    """Score every file below a folder, to Parquet and the results database; returns the run's id.

    Args:
        folder: Folder of images, of any aux_loss_weight.
        model: latest, a model id, or a model folder.
    """
    scored = tasks.score_folder(folder, model, device)
    tasks.show_scores(scored)
    return scored.run_id
