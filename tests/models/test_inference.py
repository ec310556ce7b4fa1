"""The forward pass takes batches as they fit into memory."""

import pytest
import torch

from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.models.inference import forward
from mri_model.models.network import Resnet18

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(size=32)


class Small(Resnet18):
    """A network for which the memory holds a few images."""

    room = 3

    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("no room")
        return super().outputs(images)


@pytest.fixture
def network() -> Small:
    torch.manual_seed(0)
    return Small(5).eval()


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.randint(0, 256, (11, 3, PREPROCESSING.store_size, PREPROCESSING.store_size), dtype=torch.uint8)


def test_a_batch_that_does_not_fit_is_computed_in_parts(network: Small, batch: torch.Tensor) -> None:
    found = forward(network, PREPROCESSING, batch, CPU)
    network.room = len(batch)
    whole = forward(network, PREPROCESSING, batch, CPU)
    assert torch.allclose(found.logits, whole.logits, atol=1e-5)
    assert torch.allclose(found.features, whole.features, atol=1e-5)


def test_if_not_even_one_image_fits_an_error_says_what_to_do(network: Small, batch: torch.Tensor) -> None:
    network.room = 0
    with pytest.raises(MriError, match="not even one image fits") as caught:
        forward(network, PREPROCESSING, batch, CPU)
    assert "--device cpu" in str(caught.value.hint)
