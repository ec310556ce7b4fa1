"""What computes a model's outputs in scoring: OpenVINO on a CPU, PyTorch elsewhere and where OpenVINO is missing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from mri_model.models.artifact import Model
from mri_model.models.inference import Outputs, forward
from mri_model.options import Precision

TOLERANCE = 1e-4
"""Largest difference of a probability in fp32 to PyTorch's."""

PROBES = 4


def with_engine(model: Model, precision: Precision = "auto") -> Model:
    """The model with the fastest engine of this machine.

    Args:
        model: The model, on the device that it is to run on.
        precision: ``fp32`` or ``bf16``; ``auto`` takes bf16 on a GPU that computes in it, and fp32 elsewhere.
    """
    chosen = choose_precision(model.device) if precision == "auto" else precision
    engine = pytorch_engine(model, chosen)
    if model.device.type == "cpu" and (faster := openvino_engine(model, chosen)):
        engine = faster
    return replace(model, engine=engine)


def choose_precision(device: torch.device) -> str:
    is_native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if is_native else "fp32"


@dataclass(frozen=True)
class Engine:
    """Computes what the network says.

    Attributes:
        name: Library, version and precision.
        outputs: From stored images, uint8 RGB of shape (n, 3, store_size, store_size), to logits and features.
    """

    name: str
    outputs: Callable[[torch.Tensor], Outputs]


def pytorch_engine(model: Model, precision: str) -> Engine:
    run = partial(forward, model.network, model.preprocessing)
    rest = {"device": model.device, "tta_hflip": model.metadata.tta_hflip, "precision": precision}
    return Engine(f"PyTorch {torch.__version__} {precision}", partial(run, **rest))


def openvino_engine(model: Model, precision: str) -> Engine | None:
    """None if OpenVINO is not installed, or does not give PyTorch's probabilities in fp32."""
    try:
        import openvino

        from mri_model.models.openvino import compile_network
    except ImportError:
        return None
    run = compile_network(model.network, model.preprocessing, precision, torch.get_num_threads())

    def outputs(batch: torch.Tensor) -> Outputs:
        images = model.preprocessing.resample(batch).numpy()
        found = run(images)
        if model.metadata.tta_hflip:
            mirrored = run(images[:, :, :, ::-1].copy())
            found = [(own + other) / 2 for own, other in zip(found, mirrored, strict=True)]
        return Outputs(*map(torch.from_numpy, found))

    engine = Engine(f"OpenVINO {openvino.__version__.partition('-')[0]} {precision}", outputs)
    return engine if precision != "fp32" or is_exact(model, engine) else None


def is_exact(model: Model, engine: Engine) -> bool:
    """Whether an engine gives PyTorch's probabilities for a few random images."""
    size = model.preprocessing.store_size
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (PROBES, 3, size, size), dtype=torch.uint8, generator=generator)
    ours = replace(model, engine=engine).probabilities(images)
    return bool((ours - replace(model, engine=None).probabilities(images)).abs().max() <= TOLERANCE)
