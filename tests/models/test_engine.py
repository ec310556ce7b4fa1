"""OpenVINO gives PyTorch's answers, and nothing leaves the machine."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mri_model import api
from mri_model.data.preprocessing import Preprocessing
from mri_model.models import engine as module
from mri_model.models.artifact import Model, load_model
from mri_model.models.engine import with_engine
from mri_model.settings import Settings
from tests.conftest import QUICK

RECIPES = {"plain": QUICK, "cropped": replace(QUICK, store_scale=1.5, crop_to_head=True, tta_hflip=True)}


@pytest.fixture(scope="module", params=RECIPES)
def model(request: pytest.FixtureRequest, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    home = Settings(home=tmp_path_factory.mktemp("engine"), database_url="")
    api.ingest(home, phantom)
    (folder,) = api.train(home, replace(RECIPES[request.param], epochs=1)).folders
    return load_model(folder, torch.device("cpu"))


def images(preprocessing: Preprocessing, n: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    size = preprocessing.store_size
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)


def test_openvino_gives_the_probabilities_of_pytorch(model: Model) -> None:
    batch = images(model.preprocessing)
    faster = with_engine(model)
    assert faster.engine and faster.engine.name.startswith("OpenVINO") and faster.engine.name.endswith("fp32")
    assert torch.allclose(faster.probabilities(batch), model.probabilities(batch), atol=1e-5, rtol=0)
    assert faster.probabilities(batch[:1]).shape == (1, 44)


def test_bf16_is_near(model: Model) -> None:
    batch = images(model.preprocessing)
    rounded = with_engine(model, "bf16")
    assert rounded.engine and rounded.engine.name.endswith("bf16")
    assert torch.allclose(rounded.probabilities(batch), model.probabilities(batch), atol=0.05, rtol=0)


def test_an_engine_that_is_not_exact_is_not_used(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    chosen = with_engine(model)
    assert chosen.engine and chosen.engine.name.startswith("PyTorch")
    batch = images(model.preprocessing)
    assert torch.equal(chosen.probabilities(batch), model.probabilities(batch))


def test_pytorch_computes_where_openvino_is_missing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    chosen = with_engine(model)
    assert chosen.engine and chosen.engine.name.startswith("PyTorch")


OFFLINE = """
import socket, sys, torch
def refuse(*arguments, **named):
    raise SystemExit(f"a connection to {arguments}")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from pathlib import Path
from mri_model.models.artifact import load_model
from mri_model.models.engine import with_engine
model = with_engine(load_model(Path(sys.argv[1]), torch.device("cpu")))
size = model.preprocessing.store_size
model.probabilities(torch.zeros(2, 3, size, size, dtype=torch.uint8))
print(model.engine.name)
"""


def test_openvino_opens_no_connection(model: Model) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(model.folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("OpenVINO")
