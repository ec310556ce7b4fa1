"""A scoring run that is killed at any moment, and run again, ends with the rows of an undisturbed run."""

import multiprocessing
import random
import shutil
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from mri_model import api, steps
from mri_model.data.pseudonyms import Pseudonyms
from mri_model.models.training_images import seen_digests
from mri_model.results import schema
from mri_model.scoring import listing, run
from mri_model.settings import Settings
from tests.conftest import QUICK

pytestmark = pytest.mark.slow

SHARD = 8
OF_THE_RUN = ["run_id", "scored_at", "seen_at", "seconds"]
"""Columns that tell when and by which run a row was written."""


def score(home: Path, url: str, folder: Path, pause: float = 0.0) -> None:
    """In a process of its own, with small shards; each is held for ``pause`` seconds more before it is committed."""
    listing.SHARD_FILES = SHARD
    commit = run.commit

    def commit_late(*arguments: Any) -> None:
        time.sleep(pause)
        commit(*arguments)

    run.commit = commit_late
    settings = Settings(home=home, database_url=url, database_seconds=0)
    api.score(settings, folder, str(next(settings.models.glob("resnet18-*"))))


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    """Starts processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.test_scoring_kills", "mri_model.scoring.run", "pandas"])
    return context


@pytest.fixture(scope="module")
def trained_home(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Settings(home=tmp_path_factory.mktemp("kills") / "home", database_url="")
    api.ingest(home, phantom)
    api.train(home, QUICK)
    Pseudonyms(home.private).of("makes the key", "that all copies of the home have")
    return home.root


@pytest.fixture(params=["sqlite", "postgresql"])
def killed(request: pytest.FixtureRequest, trained_home: Path, tmp_path: Path) -> Settings:
    """A home with a model, on either database."""
    shutil.copytree(trained_home, tmp_path / "home")
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else ""
    return Settings(home=tmp_path / "home", database_url=url)


@pytest.fixture
def folder(phantom: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """46 files in six shards; two are no images. With the parameter ``volumes``: fewer, and volumes among them."""
    folder = tmp_path / "incoming"
    has_volumes = getattr(request, "param", "") == "volumes"
    if has_volumes:
        pytest.importorskip("pydicom")
        from tests.medical_files import write_dicom, write_nifti

        write_dicom(folder / "a" / "series")
        write_nifti(folder / "z" / "volume.nii")
    for number, file in enumerate(sorted(phantom.rglob("*.jpeg"))[: 14 if has_volumes else 44]):
        target = folder / f"{number % 3}" / f"{number:02}.jpeg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("no image")
    return folder


def start(server: ForkServerContext, settings: Settings, folder: Path, pause: float = 0.0) -> BaseProcess:
    process = server.Process(target=score, args=(settings.root, settings.database_url, folder, pause))
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    process.join(120)
    assert process.exitcode == 0


def recorded(settings: Settings, table: Any) -> pd.DataFrame:
    with steps.open_store(settings) as store, store.reading() as connection:
        result = connection.execute(select(table))
        return pd.DataFrame(result.mappings().all(), columns=list(result.keys()))


def answers(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """What the rows say about each file, by path."""
    plain = rows.drop(columns=OF_THE_RUN, errors="ignore").sort_values("path").astype(object)
    plain["top5"] = [None if top is None else [dict(each) for each in top] for top in plain["top5"]]
    plain["probabilities"] = [None if each is None else list(each) for each in plain["probabilities"]]
    plain["prediction_set"] = [None if labels is None else list(labels) for labels in plain["prediction_set"]]
    return plain.where(plain.notna(), None).to_dict("records")


@pytest.fixture
def undisturbed(
    server: ForkServerContext, trained_home: Path, folder: Path, tmp_path: Path
) -> Iterator[tuple[list[dict[str, Any]], float]]:
    """The rows of a run that nobody disturbs, and its seconds."""
    home = Settings(home=tmp_path / "undisturbed", database_url="")
    shutil.copytree(trained_home, home.root)
    started = time.monotonic()
    finish(start(server, home, folder))
    return answers(recorded(home, schema.prediction)), time.monotonic() - started


def check_whole(settings: Settings, expected: list[dict[str, Any]]) -> None:
    """Every file has one row, in the database and in Parquet, and nothing of the work is left."""
    predictions, runs = recorded(settings, schema.prediction), recorded(settings, schema.scoring_run)
    assert answers(predictions) == expected
    assert set(runs["status"]) == {"finished"}
    last = runs.sort_values("started_at").iloc[-1]
    assert answers(pd.read_parquet(last["parquet"])) == expected
    assert last["n_found"] == last["n_scored"] + last["n_abstained"] + last["n_rejected"] == len(expected)
    assert recorded(settings, schema.scoring_shard).empty
    (compared,) = runs.dropna(subset="drift").to_dict("records")
    (model,) = settings.models.glob("resnet18-*")
    seen = seen_digests(model, model.name)
    n_images = (~predictions["sha256"].isin(seen) & (predictions["status"] != "rejected")).sum()
    assert (compared["drift"], compared["drift_images"]) == ("waiting", n_images), "each image is compared once"
    assert len(compared["drift_waiting"]["sources"]) == n_images
    of_series = check_series(settings, predictions, list(runs["id"]))
    assert {each.name for each in settings.scores.iterdir()} == {f"{run}.parquet" for run in runs["id"]} | of_series


def check_series(settings: Settings, predictions: pd.DataFrame, run_ids: list[str]) -> set[str]:
    """Each run has one row for every series, over all of its slices; returns the names of its files."""
    rows, names = recorded(settings, schema.series_prediction), predictions["series"].dropna()
    assert len(rows) == len(run_ids) * names.nunique()
    for run_id, of_run in rows.groupby("run_id"):
        found = of_run.set_index("series")
        assert found["n_images"].to_dict() == names.value_counts().to_dict()
        in_file = pd.read_parquet(settings.scores / f"{run_id}.series.parquet").set_index("series")
        assert in_file.loc[found.index, "probability"].tolist() == found["probability"].tolist()
        for series, own in predictions[predictions["probabilities"].notna()].groupby("series"):
            mean = np.mean(own["probabilities"].tolist(), axis=0)
            assert found.loc[series, "probability"] == pytest.approx(mean.max())
    return {f"{run_id}.series.parquet" for run_id in rows["run_id"]}


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_six_random_moments_it_ends_with_the_rows_of_an_undisturbed_run(
    server: ForkServerContext,
    killed: Settings,
    folder: Path,
    undisturbed: tuple[list[dict[str, Any]], float],
    seed: int,
) -> None:
    expected, seconds = undisturbed
    moments = random.Random(seed)
    for _ in range(6):
        process = start(server, killed, folder)
        time.sleep(moments.uniform(0, seconds))
        process.kill()
        process.join()
    finish(start(server, killed, folder))
    check_whole(killed, expected)


@pytest.mark.parametrize("folder", ["volumes"], indirect=True)
def test_killed_while_it_scores_volumes_it_ends_with_the_rows_of_an_undisturbed_run(
    server: ForkServerContext, killed: Settings, folder: Path, undisturbed: tuple[list[dict[str, Any]], float]
) -> None:
    expected, seconds = undisturbed
    assert sum("#z=" in row["path"] for row in expected) == 8, "the volume lies in two shards"
    moments = random.Random(1)
    for _ in range(5):
        process = start(server, killed, folder)
        time.sleep(moments.uniform(0, seconds))
        process.kill()
        process.join()
    processes = [start(server, killed, folder) for _ in range(2)]
    for process in processes:
        finish(process)
    check_whole(killed, expected)


def test_three_processes_on_one_folder_score_each_file_once(
    server: ForkServerContext, killed: Settings, folder: Path, undisturbed: tuple[list[dict[str, Any]], float]
) -> None:
    processes = [start(server, killed, folder) for _ in range(3)]
    for process in processes:
        finish(process)
    check_whole(killed, undisturbed[0])
    rows = recorded(killed, schema.prediction)
    assert rows.loc[rows["status"] != "rejected", "run_id"].nunique() == 1, "who came late found all rows there"


def test_a_worker_killed_while_it_holds_a_shard_has_it_finished_by_the_other(
    server: ForkServerContext, killed: Settings, folder: Path, undisturbed: tuple[list[dict[str, Any]], float]
) -> None:
    first = start(server, killed, folder, pause=1)
    while not holds_a_shard(killed, first):
        assert first.is_alive(), "it finished before it could be killed"
    second = start(server, killed, folder)
    first.kill()
    finish(second)
    check_whole(killed, undisturbed[0])


def holds_a_shard(settings: Settings, process: BaseProcess) -> bool:
    shards = recorded(settings, schema.scoring_shard)
    return bool((shards["worker"].str.contains(f"-{process.pid}-") & shards["done_at"].isna()).any())
