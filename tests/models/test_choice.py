"""Which model is used where the user names none."""

import json
import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mri_model.data.preprocessing import Preprocessing
from mri_model.errors import MriError
from mri_model.files import write_json
from mri_model.models.choice import choose_model, is_named
from mri_model.models.metadata import EpochMetrics, ModelMetadata, read_metadata, write_metadata
from mri_model.report.tables import TextColumn, with_short_ids

EPOCH = EpochMetrics(1, 0.1, 1.0, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5, 1.0)
MODEL = ModelMetadata(
    id="m",
    network="resnet18",
    classes=("A", "B"),
    preprocessing=Preprocessing(32),
    temperature=1.0,
    tta_hflip=False,
    protocol="random",
    recipe={"protocol": "random", "image_size": 32, "batch_size": 8, "weights": "none", "fold": 0, "folds": 0},
    manifest="d1",
    profile="auto",
    data_digest="dd",
    metrics=EPOCH,
    epochs=1,
    seconds=1.0,
    device="cpu",
    created_at="2026-11-01T00:00:00+00:00",
    sha256="s",
    versions={"torch": torch.__version__},
    git_commit=None,
    intended_use="research",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two manifests: d1, then d2."""
    for number, digest in enumerate(("d1", "d2"), start=1):
        (tmp_path / "manifests" / digest).mkdir(parents=True)
        write_json(
            tmp_path / "manifests" / digest / "source.json", {"ingested_at": f"2026-11-0{number}T00:00:00+00:00"}
        )
    (tmp_path / "models").mkdir()
    return tmp_path


def add(home: Path, name: str, val_f1: float, manifest: str, day: int, fold: int = 0) -> None:
    recipe = {**MODEL.recipe, "fold": fold, "folds": 3 * bool(fold)}
    created = f"2026-11-{day:02d}T00:00:00+00:00"
    model = replace(
        MODEL, id=name, metrics=replace(EPOCH, val_f1=val_f1), manifest=manifest, created_at=created, recipe=recipe
    )
    (home / "models" / name).mkdir()
    write_metadata(home / "models" / name, model)


def chosen(home: Path, name: str = "best") -> str:
    return choose_model(name, home / "models", home / "manifests").folder.name


def test_a_later_trial_that_is_worse_does_not_replace_the_best_model(home: Path) -> None:
    add(home, "good", 0.8, "d1", day=1)
    add(home, "trial", 0.2, "d1", day=2)
    assert (chosen(home), chosen(home, "latest")) == ("good", "trial")
    reason = choose_model("best", home / "models", home / "manifests").reason
    assert reason == "model good: best validation macro-F1 (0.800, random split) of 2 models of manifest d1"


def test_models_of_an_older_manifest_do_not_compete(home: Path) -> None:
    add(home, "old", 0.9, "d1", day=1)
    add(home, "new", 0.5, "d2", day=2)
    assert chosen(home) == "new"


def test_a_manifest_without_a_model_is_passed_over(home: Path) -> None:
    add(home, "only", 0.5, "d1", day=1)
    assert chosen(home) == "only"


def test_a_fold_is_taken_only_if_there_is_nothing_else(home: Path) -> None:
    add(home, "fold", 0.9, "d1", day=1, fold=2)
    assert chosen(home) == "fold"
    add(home, "whole", 0.5, "d1", day=2)
    assert chosen(home) == "whole"


DAMAGE: list[dict[str, Any]] = [
    {"recipe": None},
    {"recipe": {}},
    {"recipe": {"fold": "1", "folds": 3}},
    {"created_at": None},
    {"created_at": "yesterday"},
    {"manifest": None},
    {"metrics": None},
    {"metrics": {**asdict(EPOCH), "val_f1": None}},
    {"preprocessing": []},
    {"preprocessing": {"size": 8, "resize": "linear", "mean": [0, 0, 0], "std": [1, 1, 1]}},
    {"classes": 3},
    {"format": 2},
]


@pytest.mark.parametrize("damage", [*DAMAGE, None])
def test_a_damaged_or_old_model_folder_stops_nobody_and_alone_says_what_is_wrong(
    home: Path, damage: dict[str, Any] | None
) -> None:
    add(home, "broken", 0.9, "d1", day=3)
    file = home / "models" / "broken" / "model.json"
    file.write_text("{" if damage is None else json.dumps({**json.loads(file.read_text()), **damage}))
    for name in ("best", "latest"):
        with pytest.raises(MriError) as caught:
            chosen(home, name)
        assert "broken" in str(caught.value)
        assert caught.value.hint == "run: mri delete broken, then train again"
    add(home, "good", 0.5, "d1", day=1)
    assert [chosen(home, name) for name in ("best", "latest")] == ["good", "good"]


def test_a_diverged_loss_is_strict_json_and_reads_back(home: Path) -> None:
    model = replace(MODEL, metrics=replace(EPOCH, val_loss=math.nan))
    write_metadata(home / "models", model)
    json.loads((home / "models" / "model.json").read_text(), parse_constant=pytest.fail)
    assert math.isnan(read_metadata(home / "models").metrics.val_loss)


def test_a_model_is_found_by_its_id_the_start_of_it_and_its_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(home, "resnet18-a", 0.5, "d1", day=1)
    add(home, "resnet18-b", 0.9, "d1", day=2)
    monkeypatch.chdir(home / "models")
    names = ("resnet18-a", str(home / "models" / "resnet18-a"), f".{os.sep}resnet18-a")
    assert [chosen(home, name) for name in names] == ["resnet18-a"] * 3
    with pytest.raises(MriError, match="2 models match"):
        chosen(home, "resnet18")
    with pytest.raises(MriError, match="no model matches"):
        chosen(home, "other")


def test_without_any_model_it_says_what_to_run(home: Path) -> None:
    with pytest.raises(MriError) as caught:
        chosen(home)
    assert caught.value.hint.startswith("run: mri train")


def test_the_short_ids_that_tables_show_name_their_models(home: Path) -> None:
    names = ["resnet18-48px-random-ec6f846596", "resnet18-48px-grouped-fold1of3-de22ad7761"]
    for name in names:
        add(home, name, 0.5, "d1", 1)
    shown = with_short_ids(TextColumn("id", tuple(names))).cells
    assert [chosen(home, each) for each in shown] == names and all("…" in each for each in shown)
    with pytest.raises(MriError, match="2 models match 'resnet18-…': resnet18-48px-grouped"):
        chosen(home, "resnet18-…")
    with pytest.raises(MriError, match="no model matches 'x'"):
        chosen(home, "x")


@pytest.mark.parametrize("name", ["resnet18-32px-random-9b2c3d4e", "resnet18-32px", "2c3d4e", "resnet18-…-2c3d4e"])
def test_a_model_is_named_by_its_id_its_start_its_last_digits_or_its_short_form(name: str) -> None:
    assert is_named("resnet18-32px-random-9b2c3d4e", name)
    assert not is_named("resnet18-64px-random-9b2c3d5f", name)


def test_a_few_digits_are_no_name() -> None:
    assert not is_named("resnet18-32px-random-9b2c3d4e", "3d4e")
