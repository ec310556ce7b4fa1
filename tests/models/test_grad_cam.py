"""Grad-CAM: shape, range, and that it points at what decides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mri_model.models.artifact import Model
from mri_model.models.grad_cam import explained_layer, grad_cam
from mri_model.models.network import build_network
from tests.models.test_choice import MODEL


@pytest.fixture
def model(tmp_path: Path) -> Model:
    network = build_network(2, "none", 0).eval()
    metadata = replace(MODEL, preprocessing=replace(MODEL.preprocessing, size=64, store_scale=1.5))
    return Model(tmp_path, metadata, network, torch.device("cpu"))


def batch(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_map_has_the_size_of_the_stored_image_and_a_maximum_of_1(model: Model) -> None:
    maps = grad_cam(model, batch(3), [0, 1, 1])
    assert (maps.shape, maps.dtype) == ((3, 96, 96), np.dtype(np.float32))
    assert maps.min() >= 0 and set(maps.max((1, 2)).round(6).tolist()) <= {0.0, 1.0}


def test_the_model_is_as_before(model: Model) -> None:
    block = model.network.resnet.layer2[-1]
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    grad_cam(model, batch(1), [0])
    assert not block._forward_hooks
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())


def test_a_class_that_nothing_speaks_for_has_an_empty_map(model: Model) -> None:
    torch.nn.init.zeros_(model.network.resnet.fc.weight)
    assert grad_cam(model, batch(1), [0]).max() == 0


def light_a_corner(_block: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
    """One channel answers, and it is on in one corner only."""
    lit = output * 0
    lit[:, 0, 0, 0] = 1
    return lit


def test_the_map_points_at_the_corner_that_decides(model: Model) -> None:
    large = Model(
        model.folder,
        replace(model.metadata, preprocessing=replace(model.preprocessing, size=192)),
        model.network,
        model.device,
    )
    fc = model.network.resnet.fc
    torch.nn.init.zeros_(fc.weight)
    with torch.no_grad():
        fc.weight[1, 0] = 1
    hook = model.network.resnet.layer4[-1].register_forward_hook(light_a_corner)
    found = grad_cam(large, batch(1), [1])[0]
    hook.remove()
    assert found[0, 0] == 1 and found[48:, 48:].max() < 0.5


@pytest.mark.parametrize(
    ("size", "layer"),
    [(256, "layer4"), (192, "layer4"), (160, "layer3"), (96, "layer3"), (64, "layer2"), (8, "layer1")],
)
def test_small_images_are_explained_by_an_earlier_layer(size: int, layer: str) -> None:
    assert explained_layer(size) == layer


def test_the_map_of_a_small_image_has_more_than_a_few_cells(model: Model) -> None:
    """Lit in one of 8×8 cells, the map of a 64-pixel image leaves most of it dark."""
    hook = model.network.resnet.layer2[-1].register_forward_hook(light_a_corner)
    found = max((grad_cam(model, batch(1), [each])[0] for each in (0, 1)), key=np.max)
    hook.remove()
    assert found[0, 0] == 1 and found[24:, 24:].max() < 0.01
