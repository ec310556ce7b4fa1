"""The network of the report's appendix: torchvision's ResNet-18 with one output per class."""

import contextlib
import socket
import sys
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18

from mri_model.errors import MriError, UsageError

OFFLINE_HINT = "without internet access give a torchvision ResNet-18 state dict: --weights FILE.pth, or start from none"


GUARD_LAYERS = ("layer2", "layer3")
"""Groups of blocks whose outputs, averaged over the image, are the features that the guard looks at."""

FEATURES = 384
"""Their number."""


class Resnet18(nn.Module):
    """ResNet-18 (He et al., 2016) under ``.resnet``; ``forward`` maps (n, 3, h, w) float to (n, classes) logits."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.resnet = resnet18(weights=None)
        self.resnet.fc = nn.Linear(512, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.outputs(images)[0]

    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, classes) as torchvision's ``forward`` computes them, and the guard's features (n, 384)."""
        resnet, means = self.resnet, []
        maps = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(images))))
        for name in ("layer1", "layer2", "layer3", "layer4"):
            maps = getattr(resnet, name)(maps)
            if name in GUARD_LAYERS:
                means.append(maps.mean((2, 3)))
        return resnet.fc(resnet.avgpool(maps).flatten(1)), torch.cat(means, dim=1)


def build_network(n_classes: int, weights: str, seed: int) -> Resnet18:
    """A network to train: pretrained except for its last layer, which is initialized from ``seed``.

    Args:
        weights: ``imagenet`` (torchvision's download), ``none``, or the path of a torchvision state dict.

    Raises:
        MriError: If the weights cannot be read or downloaded, or do not fit a ResNet-18.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Resnet18(n_classes)
    if weights != "none":
        load_backbone(network, weights)
    return network


def load_backbone(network: Resnet18, weights: str) -> None:
    state = download_imagenet() if weights == "imagenet" else read_state(Path(weights))
    backbone = {name: value for name, value in state.items() if not name.startswith("fc.")}
    try:
        missing, unexpected = network.resnet.load_state_dict(backbone, strict=False)
    except RuntimeError as error:
        raise MriError(
            f"{weights} does not fit a ResNet-18: {str(error).splitlines()[-1].strip()}", OFFLINE_HINT
        ) from None
    wrong = [name for name in [*missing, *unexpected] if not name.startswith("fc.")]
    if wrong:
        raise MriError(f"{weights} is not a torchvision ResNet-18 state dict (first: {wrong[0]})", OFFLINE_HINT)


def download_imagenet() -> dict[str, torch.Tensor]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # PyTorch announces the download on stdout
            return dict(ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True))
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", error)
        raise MriError(f"ImageNet weights cannot be downloaded: {reason}", OFFLINE_HINT) from None
    finally:
        socket.setdefaulttimeout(before)


def imagenet_file() -> Path:
    """Where torchvision keeps the download."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(ResNet18_Weights.IMAGENET1K_V1.url).name


def read_state(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise MriError(f"there is no weights file {file}", OFFLINE_HINT)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # the unpickler raises anything from KeyError to UnpicklingError
        raise MriError(f"{file} is not a PyTorch state dict", OFFLINE_HINT) from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise MriError(f"{file} is not a PyTorch state dict", OFFLINE_HINT)
    return state


def choose_device(name: str = "auto") -> torch.device:
    """``auto`` takes the GPU if there is one. Raises MriError if the named device is missing."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise MriError("PyTorch sees no GPU here", "use --device cpu or auto")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"there is no device {name!r}", "use auto, cpu or cuda")
    return torch.device(name)
