import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mri_model.data.inventory import take_inventory
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.data.medical.choice import AXIAL_SLICES, SliceChoice
from mri_model.data.pixel_store import PixelStore, pack_pixels
from mri_model.data.profile import load_profile, profile_toml
from mri_model.errors import MriError
from mri_model.models.artifact import load_model
from mri_model.models.inference import predict
from mri_model.models.metadata import EpochMetrics, read_metadata
from mri_model.models.network import Resnet18, build_network
from mri_model.training.recipe import Recipe, model_id
from mri_model.training.trainer import shuffled_batches
from tests.conftest import QUICK, TRAINED_FOLDER
from tests.training.jobs import CPU, train


@pytest.fixture(scope="module")
def manifest(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_manifest(take_inventory(phantom), tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module")
def pixels(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> PixelStore:
    return pack_pixels(manifest, QUICK.preprocessing, tmp_path_factory.mktemp("pixels"))


def test_a_model_folder_describes_itself(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    folder = train(manifest, pixels, QUICK, tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == TRAINED_FOLDER
    metadata = read_metadata(folder)
    assert metadata.classes == manifest.classes
    assert metadata.manifest == manifest.digest
    assert metadata.protocol == "random"
    assert metadata.preprocessing.size == 32
    assert metadata.slices == AXIAL_SLICES
    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert metadata.metrics.val_f1 == pytest.approx(history["val_f1"].max())


def test_a_model_takes_the_slices_that_the_profile_of_its_manifest_names(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(manifest.folder, tmp_path / "manifest"))
    profile = load_profile(str(changed / "profile.toml"))
    choice = SliceChoice("coronal", 0.5, 4)
    (changed / "profile.toml").write_text(profile_toml(replace(profile, name="own", slices=choice)), encoding="utf-8")
    folder = train(replace(manifest, folder=changed), pixels, replace(QUICK, epochs=1), tmp_path / "models")
    assert read_metadata(folder).slices == choice


def test_the_temperature_lowers_the_loss_on_the_validation_images(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path
) -> None:
    model = load_model(train(manifest, pixels, QUICK, tmp_path), torch.device("cpu"))
    rows = manifest.partition("random").rows("val")
    logits = predict(model.network, model.preprocessing, pixels, rows.index.to_numpy(), model.device).logits
    targets = torch.from_numpy(manifest.class_indices(rows["label"]))
    before, after = (torch.nn.functional.cross_entropy(logits / t, targets) for t in (1, model.metadata.temperature))
    assert model.metadata.temperature != 1 and after < before


@pytest.mark.slow
def test_an_interrupted_training_resumes_to_the_same_weights_bit_for_bit(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path
) -> None:
    whole = train(manifest, pixels, QUICK, tmp_path / "whole")

    def die(metrics: EpochMetrics) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(manifest, pixels, QUICK, tmp_path / "cut", on_epoch=die)
    epochs: list[object] = []
    resumed = train(manifest, pixels, QUICK, tmp_path / "cut", on_epoch=lambda row: epochs.append(row.epoch))
    assert epochs == [2]
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read_metadata(whole).temperature == read_metadata(resumed).temperature


def test_a_finished_training_is_not_repeated(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    recipe = replace(QUICK, epochs=1)
    folder = train(manifest, pixels, recipe, tmp_path)
    epochs: list[object] = []
    assert train(manifest, pixels, recipe, tmp_path, on_epoch=epochs.append) == folder
    assert epochs == []


def test_a_loss_that_is_no_number_names_epoch_and_step(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    with pytest.raises(MriError, match=r"epoch \d, step \d"):
        train(manifest, pixels, replace(QUICK, learning_rate=1e6), tmp_path)


EIGHT_CLASSES = (
    "_NORMAL T1",
    "_NORMAL T2",
    "Meningioma T1",
    "Meningioma T1C+",
    "Meningioma T2",
    "Papiloma T1",
    "Papiloma T2",
    "Schwannoma T1C+",
)


def test_training_learns_the_phantom(phantom: Path, tmp_path: Path) -> None:
    """Eight classes with two training images each, all in one batch: after six epochs the network knows them."""
    for name in EIGHT_CLASSES:
        shutil.copytree(phantom / name, tmp_path / "few" / name)
    few = write_manifest(take_inventory(tmp_path / "few"), tmp_path / "manifests")
    recipe = replace(QUICK, epochs=6, batch_size=16, learning_rate=0.02)
    pixels = pack_pixels(few, recipe.preprocessing, tmp_path / "pixels")
    history = pd.read_csv(train(few, pixels, recipe, tmp_path / "models") / "history.csv")
    assert history["train_accuracy"].iloc[-1] > 0.9
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] / 4


def test_every_image_is_in_one_batch_and_no_batch_has_one_image() -> None:
    for n in range(2, 40):
        parts = shuffled_batches(n, 8, np.random.default_rng(0))
        assert sorted(np.concatenate(parts)) == list(range(n))
        assert min(len(part) for part in parts) >= 2
        assert max(len(part) for part in parts) <= 9


def test_the_network_is_the_reports_appendix() -> None:
    network = Resnet18(44)
    text = str(network)
    assert text.startswith("Resnet18(\n  (resnet): ResNet(\n    (conv1): Conv2d(3, 64, kernel_size=(7, 7)")
    assert "(fc): Linear(in_features=512, out_features=44, bias=True)" in text
    assert sum(1 for module in network.modules() if isinstance(module, torch.nn.Conv2d)) == 20


def test_weights_from_a_state_dict_reach_all_but_the_last_layer(tmp_path: Path) -> None:
    source = Resnet18(1000).resnet
    torch.save(source.state_dict(), tmp_path / "w.pth")
    network = build_network(7, str(tmp_path / "w.pth"), seed=0)
    assert torch.equal(network.resnet.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert network.resnet.fc.out_features == 7
    assert torch.equal(network.resnet.fc.weight, build_network(7, "none", seed=0).resnet.fc.weight)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


@pytest.mark.parametrize("content", ["missing", "garbage", "text", "other network", "a list", "pickle"])
def test_bad_weights_are_one_clear_error(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.pth"
    if content == "garbage":
        file.write_bytes(b"no weights")
    elif content == "text":
        file.write_text("hi\n")
    elif content != "missing":
        saved = {"other network": {"x.weight": torch.zeros(1)}, "a list": [1], "pickle": Evil()}[content]
        torch.save(saved, file)
    with pytest.raises(MriError, match=r"weights file|state dict"):
        build_network(7, str(file), seed=0)
    assert "unpickled" not in capsys.readouterr().out


def test_a_model_whose_weights_were_exchanged_is_refused(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path
) -> None:
    folder = train(manifest, pixels, replace(QUICK, epochs=1), tmp_path)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    with pytest.raises(MriError, match="not the file this model was written with"):
        load_model(folder, CPU)


@pytest.mark.parametrize("metadata", ["{", "[]", '{"format": 1}', '{"format": 4}'])
def test_damaged_metadata_says_how_to_delete_its_model(tmp_path: Path, metadata: str) -> None:
    for folder, hint in (("models/m1", "run: mri delete m1, then train again"), ("m1", "train the model again")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "model.json").write_text(metadata)
        with pytest.raises(MriError) as caught:
            load_model(tmp_path / folder, CPU)
        assert caught.value.hint == hint


def test_the_recipes_name_follows_what_decides_the_outcome() -> None:
    def name(recipe: Recipe, manifest: str = "abc") -> str:
        return model_id(recipe.recorded(), manifest)

    assert name(QUICK) == name(replace(QUICK))
    others = [replace(QUICK, seed=1), replace(QUICK, epochs=3), replace(QUICK, protocol="grouped")]
    assert len({name(recipe) for recipe in [QUICK, *others]} | {name(QUICK, "abd")}) == 5


@pytest.mark.parametrize(("image_size", "batch_size"), [(100, 50), (256, 25), (630, 15)])
def test_the_defaults_are_the_reports_recipe(image_size: int, batch_size: int) -> None:
    recipe = Recipe(image_size=image_size)
    assert (recipe.batch_size, recipe.learning_rate, recipe.momentum) == (batch_size, 0.01, 0.0)
    assert recipe.epochs >= 5


@pytest.mark.parametrize(
    "wrong",
    [{"image_size": 8}, {"epochs": 0}, {"learning_rate": 0}, {"protocol": "x"}, {"resize": "x"}, {"batch_size": 1}],
)
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MriError):
        Recipe(**wrong)  # type: ignore[arg-type]
