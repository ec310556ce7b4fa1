"""evaluate-mri: model + manifest → metrics in the results database."""

from typing import Literal

from prefect import flow

from tasks import evaluate as tasks
from tasks.states import plainly


@flow(name="evaluate-mri")
@plainly
def evaluate_mri(
    model: str = "latest",
    split: Literal["train", "val", "test"] = "test",
    manifest: str = "",
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> str:
    """Evaluate a model per class and per contrast; returns the evaluation's id.

    Args:
        model: latest, a model id, or a model folder.
        split: Which split of the split the model was trained under.
        manifest: Empty for the one the model was trained on.
    """
    folder = tasks.find_model(model)
    opened = tasks.find_its_manifest(folder, manifest)
    evaluation, seconds = tasks.assess(folder, opened, split, device)
    evaluation_id = tasks.record_evaluation(folder, opened, split, evaluation, seconds)
    tasks.show_evaluation(evaluation)
    return evaluation_id
