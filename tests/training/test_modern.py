"""The modern recipe: what it adds to the report's, and that it can be cut off anywhere."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mri_model import api, steps
from mri_model.data.inventory import take_inventory
from mri_model.data.labels import parse_label
from mri_model.data.manifest import Manifest
from mri_model.data.manifest_writer import write_manifest
from mri_model.data.pixel_store import PixelStore, ResidentPixels, pack_pixels
from mri_model.errors import MriError
from mri_model.models.metadata import EpochMetrics, read_metadata
from mri_model.settings import Settings
from mri_model.training import trainer
from mri_model.training.augment import augment, draw
from mri_model.training.batch import choose_batch_size
from mri_model.training.checkpoint import CHECKPOINT_FILE
from mri_model.training.distributed import World
from mri_model.training.optimizer import Loss, build_optimizer, learning_rate, scale_to_batch
from mri_model.training.recipe import Recipe, make_recipe
from tests.conftest import TRAINED_FOLDER
from tests.training.jobs import CPU, train

QUICK_MODERN = make_recipe("modern", image_size=32, epochs=2, weights="none", precision="fp32", aux_loss_weight=0.3)


@pytest.fixture(scope="module")
def manifest(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return write_manifest(take_inventory(phantom), tmp_path_factory.mktemp("manifests"))


@pytest.fixture(scope="module")
def pixels(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> PixelStore:
    return pack_pixels(manifest, QUICK_MODERN.preprocessing, tmp_path_factory.mktemp("pixels"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def cut_at(manifest: Manifest, pixels: PixelStore, recipe: Recipe, models: Path, step: int) -> None:
    """Train with a checkpoint after each step, and die after step ``step`` of the whole training."""
    taken = 0

    def die(epoch: int, done: int, total: int) -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(manifest, pixels, recipe, models, on_step=die, checkpoint_seconds=0)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cut_off_twice_within_epochs_it_ends_with_the_same_bits(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path, precision: str
) -> None:
    recipe = replace(QUICK_MODERN, precision=precision)
    whole = train(manifest, pixels, recipe, tmp_path / "whole")
    cut_at(manifest, pixels, recipe, tmp_path / "cut", 3)
    cut_at(manifest, pixels, recipe, tmp_path / "cut", 3)
    steps: list[int] = []
    resumed = train(manifest, pixels, recipe, tmp_path / "cut", on_step=lambda *step: steps.append(step[0]))
    assert len(steps) < 2 * math.ceil(88 / 32)
    assert same(weights(whole), weights(resumed))
    columns = [(folder / "history.csv").read_text().splitlines() for folder in (whole, resumed)]
    assert [line.rsplit(",", 1)[0] for line in columns[0]] == [line.rsplit(",", 1)[0] for line in columns[1]]


FULL_DISK = """
import resource, sys
from mri_model.cli import main as cli
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
cli.main()
"""


@pytest.mark.slow
def test_a_checkpoint_that_finds_no_room_leaves_the_last_good_one(settings: Settings, phantom: Path) -> None:
    api.ingest(settings, phantom)
    common = ["train", "--image-size", "32", "--weights", "none", "--epochs", "1", "--batch-size", "32"]
    common += ["--set", "precision=fp32"]
    # 60 MB hold the pixels, and not the weights with AdamW's two moments
    command = [sys.executable, "-c", FULL_DISK, "60000000", *common]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "checkpoint cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(settings.models.glob(f"*/.{CHECKPOINT_FILE}*"))
    again = subprocess.run(
        [sys.executable, "-m", "mri_model.cli", *common], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_failed_save_keeps_the_checkpoint_before_it(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_at(manifest, pixels, QUICK_MODERN, tmp_path, 2)
    kept = next(tmp_path.glob(f"*/{CHECKPOINT_FILE}"))
    before = kept.read_bytes()

    def no_room(tensors: object, file: Path, metadata: object) -> None:
        Path(file).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mri_model.training.checkpoint.save_file", no_room)
    with pytest.raises(MriError, match="No space left"):
        train(manifest, pixels, QUICK_MODERN, tmp_path)
    assert kept.read_bytes() == before
    assert [file.name for file in kept.parent.iterdir() if file.name.startswith(".c")] == []


@pytest.mark.slow
def test_two_processes_do_not_train_one_model_at_once(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    def second(metrics: EpochMetrics) -> None:
        with pytest.raises(MriError, match="another process is training"):
            train(manifest, pixels, QUICK_MODERN, tmp_path)

    folder = train(manifest, pixels, QUICK_MODERN, tmp_path, on_epoch=second)
    assert sorted(file.name for file in folder.iterdir()) == TRAINED_FOLDER


@pytest.mark.slow
def test_a_batch_left_to_the_device_is_halved_until_it_fits(
    manifest: Manifest, pixels: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_step = trainer.Trainer.train_step

    def small_memory(self: trainer.Trainer, chosen: np.ndarray, rate: float) -> None:
        if len(chosen) > 8:
            raise torch.OutOfMemoryError("no room")
        train_step(self, chosen, rate)

    monkeypatch.setattr(trainer.Trainer, "train_step", small_memory)
    metadata = read_metadata(train(manifest, pixels, replace(QUICK_MODERN, epochs=1), tmp_path))
    assert metadata.recipe["batch_size"] == 8
    with pytest.raises(MriError, match="batch of 16 does not fit"):
        train(manifest, pixels, replace(QUICK_MODERN, batch_size=16), tmp_path)


def test_a_batch_size_is_found_by_device_and_size_of_the_set() -> None:
    recipe = make_recipe("modern")
    assert choose_batch_size(recipe, CPU, 100_000) == 32
    assert choose_batch_size(recipe, torch.device("cuda"), 3135) == 128
    assert choose_batch_size(recipe, torch.device("cuda"), 100_000) == 256
    assert choose_batch_size(replace(recipe, batch_size=7), torch.device("cuda"), 3135) == 7


def test_the_rate_follows_the_batch() -> None:
    assert scale_to_batch(make_recipe("report"), 100, 50) == 2
    assert scale_to_batch(make_recipe("modern"), 128, 32) == 2


def test_one_cycle_rises_to_the_peak_and_falls_to_nothing() -> None:
    rates = [learning_rate(make_recipe("modern"), step, 100) for step in range(101)]
    assert max(rates) == rates[25] == pytest.approx(5e-4)
    assert rates[0] == pytest.approx(0.04 * 5e-4)
    assert rates[100] == pytest.approx(0)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_weight_decay_leaves_normalisation_and_biases_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    decayed, spared = build_optimizer(network, make_recipe("modern")).param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(4, 3, 3, 3)]
    assert decayed["weight_decay"] == 0.05
    assert len(spared["params"]) == 3
    assert spared["weight_decay"] == 0


def test_the_loss_of_tumor_and_contrast_alone_is_what_its_marginals_say() -> None:
    labels = tuple(parse_label(name) for name in ("A T1", "A T2", "B T1", "B T2"))
    logits = torch.tensor([[2.0, 1.0, 0.5, -1.0]])
    p = logits.softmax(1)[0]
    plain = Loss(labels, make_recipe("modern", aux_loss_weight=0.0))(logits, torch.tensor([1]))
    structured = Loss(labels, make_recipe("modern", aux_loss_weight=0.5))(logits, torch.tensor([1]))
    expected = -0.5 * ((p[0] + p[1]).log() + (p[1] + p[3]).log())
    assert (structured - plain).item() == pytest.approx(expected.item(), rel=1e-5)


def test_classes_without_contrast_have_no_structure_to_learn() -> None:
    labels = tuple(parse_label(name) for name in ("glioma", "healthy", "pituitary"))
    logits, targets = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1])
    plain = Loss(labels, make_recipe("modern", aux_loss_weight=0.0))(logits, targets)
    assert torch.equal(plain, Loss(labels, make_recipe("modern", aux_loss_weight=0.5))(logits, targets))


def test_the_same_numbers_are_drawn_from_the_same_seed_only() -> None:
    first, again, other = (draw(1000, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= first.min() < 0.01
    assert 0.99 < first.max() < 1


def test_the_processes_of_a_training_change_their_images_as_one_process_does(pixels: PixelStore) -> None:
    batch, numbers = pixels.batch(np.arange(10)), draw(10, torch.Generator().manual_seed(0))
    whole = augment(batch, numbers, QUICK_MODERN)
    for world in (World(rank, 3) for rank in range(3)):
        own = augment(world.shard(batch), world.shard(numbers), QUICK_MODERN)
        assert torch.equal(own, world.shard(whole))


def test_a_training_draws_by_seed_epoch_and_step(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    job = trainer.TrainingJob(manifest, QUICK_MODERN, tmp_path, CPU)
    splits = {name: trainer.load_split(job.partition, name) for name in ("train", "val")}
    loop = trainer.Trainer(job, pixels, splits, 32)
    first = draw(4, loop.step_generator())
    assert torch.equal(draw(4, loop.step_generator()), first)
    loop.state.steps = 1
    assert not torch.equal(draw(4, loop.step_generator()), first)


@pytest.mark.slow
def test_a_resumed_training_keeps_its_number_of_threads(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    before, lines = torch.get_num_threads(), []
    try:
        torch.set_num_threads(2)
        cut_at(manifest, pixels, QUICK_MODERN, tmp_path, 2)
        torch.set_num_threads(1)
        train(manifest, pixels, replace(QUICK_MODERN), tmp_path, log=lines.append)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert lines[0] == "threads: 2, as before the interruption"


def test_a_loss_that_is_not_finite_is_in_no_checkpoint(manifest: Manifest, pixels: PixelStore, tmp_path: Path) -> None:
    diverging = replace(QUICK_MODERN, optimizer="sgd", learning_rate=1e6, schedule="constant")
    with pytest.raises(MriError, match=r"no longer finite, seen at epoch \d, step \d"):
        train(manifest, pixels, diverging, tmp_path, checkpoint_seconds=0)
    for file in tmp_path.rglob(CHECKPOINT_FILE):
        assert all(value.isfinite().all() for name, value in load_file(file).items() if name.startswith("network."))


def test_pixels_in_a_devices_memory_are_those_of_the_store(pixels: PixelStore) -> None:
    side = QUICK_MODERN.preprocessing.store_size
    colour = np.arange(2 * 3 * side * side, dtype=np.uint8).reshape(2, 3, side, side)
    at = np.full(len(pixels.grey), -1, np.int32)
    at[[3, 5]] = [0, 1]
    for store in (pixels, PixelStore(pixels.grey, colour, at)):
        positions = np.array([5, 1, 3, 0])
        assert torch.equal(ResidentPixels(store, CPU).batch(positions), store.batch(positions))


def test_every_agreed_image_is_tested_in_one_fold_with_its_group(manifest: Manifest) -> None:
    seen = []
    for fold in range(1, 4):
        partition = manifest.partition("grouped", 3, fold)
        test = partition.rows("test")
        others = {split: set(partition.rows(split)["group"]) for split in ("train", "val")}
        assert not set(test["group"]) & (others["train"] | others["val"])
        assert not others["train"] & others["val"]
        seen += test["path"].tolist()
    usable = manifest.frame[(manifest.frame["status"] == "ok") & ~manifest.frame["conflict"].astype(bool)]
    assert sorted(seen) == sorted(usable["path"])


@pytest.mark.slow
def test_cross_validation_tests_every_image_once_and_records_all_folds_together(
    settings: Settings, phantom: Path
) -> None:
    manifest = api.ingest(settings, phantom)
    result = api.train(settings, replace(QUICK_MODERN, epochs=1), folds=3)
    usable = manifest.frame[(manifest.frame["status"] == "ok") & ~manifest.frame["conflict"].astype(bool)]
    assert result.pooled
    assert result.pooled.overall.n == len(usable) == sum(each.overall.n for each in result.evaluations)
    with steps.open_store(settings) as store:
        assert set(store.query("models")["id"]) == {model.id for model in result.models}
        evaluations = store.query("evaluations").set_index("id")
        shown = store.query("report-table-5")
    assert evaluations.loc[result.pooled.id, "sweep_id"] == result.sweep_id
    assert evaluations.loc[result.pooled.id, "n"] == len(usable)
    assert len(evaluations) == 4
    assert shown["support"].sum() == len(usable)  # the table that the command points to is that of all folds


@pytest.mark.parametrize(
    "wrong",
    [{"name": "x"}, {"folds": 2}, {"folds": 3}, {"folds": 3, "fold": 4, "protocol": "grouped"}, {"optimizer": "x"}],
)
def test_a_modern_recipe_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MriError):
        make_recipe(**wrong)  # type: ignore[arg-type]
