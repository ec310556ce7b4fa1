"""train-mri: manifest + recipe → trained model folder."""

from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from tasks import train as tasks
from tasks.states import plainly


@flow(name="train-mri")
@plainly
def train_mri(
    manifest: str = "latest",
    recipe: Literal["modern", "report"] = "modern",
    image_size: Annotated[int | None, Field(ge=32, le=2048)] = None,
    batch_size: Annotated[int | None, Field(ge=0)] = None,
    epochs: Annotated[int | None, Field(ge=1)] = None,
    learning_rate: Annotated[float | None, Field(gt=0)] = None,
    momentum: Annotated[float | None, Field(ge=0, lt=1)] = None,
    weight_decay: Annotated[float | None, Field(ge=0)] = None,
    resize: Literal["linear", "area"] | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
    deterministic: bool = False,
    weights: str = "",
    protocol: Literal["random", "grouped"] = "random",
    seed: Annotated[int, Field(ge=0)] = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    sweep: str = "",
) -> Path:
    """Train ResNet-18 by a recipe; what is left empty is as the recipe has it. Returns the model folder.

    Args:
        manifest: latest, a digest, or a manifest folder.
        recipe: modern, or report (exactly the report's).
        image_size: Images are resized to this many pixels square.
        batch_size: 0 has it found (modern), or takes the report's for the image size.
        deterministic: A GPU repeats to the bit, more slowly; a CPU always does.
        weights: imagenet, none, or a torchvision state dict's path; empty takes MRI_WEIGHTS or imagenet.
        protocol: random (the report's) or grouped (near copies kept on one split).
        sweep: Models of one comparison share it; empty for a training on its own.
    """
    opened = tasks.open_manifest(manifest)
    chosen = tasks.make_recipe(
        recipe,
        weights,
        image_size=image_size,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        resize=resize,
        precision=precision,
        deterministic=deterministic,
        protocol=protocol,
        seed=seed,
    )
    folder = tasks.fit(chosen, opened, device)
    tasks.record_model(folder, sweep)
    tasks.show_training(folder)
    return folder
