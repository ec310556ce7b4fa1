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
    image_size: Annotated[int, Field(ge=32, le=2048)] = 100,
    batch_size: Annotated[int, Field(ge=0)] = 0,
    epochs: Annotated[int, Field(ge=1)] = 10,
    learning_rate: Annotated[float, Field(gt=0)] = 0.01,
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    weight_decay: Annotated[float, Field(ge=0)] = 0.0,
    resize: Literal["linear", "area"] = "linear",
    weights: str = "",
    protocol: Literal["random", "grouped"] = "random",
    seed: Annotated[int, Field(ge=0)] = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    sweep: str = "",
) -> Path:
    """Train ResNet-18; the defaults are the report's recipe. Returns the model folder.

    Args:
        manifest: latest, a digest, or a manifest folder.
        image_size: Images are resized to this many pixels square.
        batch_size: 0 takes the report's for the image size.
        weights: imagenet, none, or a torchvision state dict's path; empty takes MRI_WEIGHTS or imagenet.
        protocol: random (the report's) or grouped (near copies kept on one side).
        sweep: Models of one comparison share it; empty for a training on its own.
    """
    opened = tasks.open_manifest(manifest)
    recipe = tasks.make_recipe(
        weights,
        image_size=image_size,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        resize=resize,
        protocol=protocol,
        seed=seed,
    )
    folder = tasks.fit(recipe, opened, device)
    tasks.record_model(folder, sweep)
    tasks.show_training(folder)
    return folder
