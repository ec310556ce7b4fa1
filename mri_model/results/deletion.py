"""Really deleting a model or a scoring run: its rows, and the paths of its files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from mri_model.errors import MriError, RefusedError
from mri_model.models.choice import is_named
from mri_model.results.registry import append_deletion, champion_of, lock
from mri_model.results.schema import (
    class_metric,
    confusion,
    contrast_metric,
    epoch,
    evaluated_image,
    evaluation,
    model,
    prediction,
    promotion,
    scoring_run,
    scoring_shard,
    similarity_metric,
    sweep,
    sweep_model,
)
from mri_model.results.store import Store


@dataclass(frozen=True)
class Deletion:
    """What belongs to a model or a scoring run.

    Attributes:
        kind: ``model`` or ``run``.
        id: Its id.
        sweeps: Sweeps that have no other model; they go too.
        rows: Number of rows by table, without tables that have none.
        kept: Number of rows of its history in ``promotion``, which stay.
        files: Folders and files; some may not exist.
    """

    kind: str
    id: str
    sweeps: tuple[str, ...]
    rows: dict[str, int]
    kept: int
    files: tuple[Path, ...]


def plan(store: Store, name: str, folders: Iterable[str] = ()) -> Deletion:
    """What deleting a model or a scoring run removes.

    Args:
        name: Its id or the start of one.
        folders: Names of the model folders, which may be of models that are not recorded.

    Raises:
        MriError: If none or several begin so.
        RefusedError: If it is the champion.
    """
    with store.reading() as connection:
        kind, found = find(connection, name, folders)
        refuse_champion(connection, found)
        sweeps = tuple(lonely_sweeps(connection, found))
        counts = {table.name: count(connection, table, where) for table, where in parts(kind, found, sweeps)}
        rows = {table: n for table, n in counts.items() if n}
        kept = count(connection, promotion, promotion.c.model_id == found)
        return Deletion(kind, found, sweeps, rows, kept, files(connection, kind, found))


def delete(store: Store, deletion: Deletion) -> None:
    """Delete the rows, all or none; the history stays and says so. The files are the caller's.

    Raises:
        RefusedError: If it has become the champion.
    """
    with store.writing() as connection:
        lock(connection)
        refuse_champion(connection, deletion.id)
        append_deletion(connection, deletion.id)
        for table, where in parts(deletion.kind, deletion.id, deletion.sweeps):
            connection.execute(table.delete().where(where))


def refuse_champion(connection: Connection, name: str) -> None:
    """Raises RefusedError if this is the id of the champion."""
    champion = champion_of(connection)
    if champion and champion.model_id == name:
        raise RefusedError(f"model {name} is the champion", "promote another one first: mri promote MODEL")


def find(connection: Connection, name: str, folders: Iterable[str]) -> tuple[str, str]:
    """Kind and id of the only model (a recorded one, or one of ``folders``) or run whose id begins with ``name``."""
    models = {*connection.scalars(select(model.c.id)), *folders}
    runs = connection.scalars(select(scoring_run.c.id))
    known = [*(("model", each) for each in sorted(models)), *(("run", each) for each in sorted(runs))]
    found = [(kind, each) for kind, each in known if is_named(each, name)]
    chosen = [(kind, each) for kind, each in found if each == name] or found
    if len(chosen) != 1:
        many = f"{len(chosen)} models and scoring runs begin with {name!r}"
        raise MriError(many, "give the whole id: mri models, mri query scored-runs")
    return chosen[0]


def lonely_sweeps(connection: Connection, model_id: str) -> Iterator[str]:
    """The sweeps whose only recorded model this is."""
    others = select(sweep_model.c.sweep_id).where(sweep_model.c.model_id != model_id)
    own = select(sweep_model.c.sweep_id).where(sweep_model.c.model_id == model_id)
    yield from connection.scalars(own.where(sweep_model.c.sweep_id.not_in(others)).order_by(sweep_model.c.sweep_id))


def parts(kind: str, name: str, sweeps: tuple[str, ...]) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """The tables with rows of a model or run, and which rows these are; those that refer to others come first."""
    if kind == "run":
        yield prediction, prediction.c.run_id == name
        yield scoring_shard, scoring_shard.c.run_id == name
        yield scoring_run, scoring_run.c.id == name
        return
    own = or_(evaluation.c.model_id == name, evaluation.c.sweep_id.in_(sweeps))
    for table in (class_metric, contrast_metric, confusion, similarity_metric, evaluated_image):
        yield table, table.c.evaluation_id.in_(select(evaluation.c.id).where(own))
    yield evaluation, own
    yield prediction, prediction.c.model_id == name
    yield scoring_shard, scoring_shard.c.run_id.in_(select(scoring_run.c.id).where(scoring_run.c.model_id == name))
    yield scoring_run, scoring_run.c.model_id == name
    yield epoch, epoch.c.model_id == name
    yield sweep_model, sweep_model.c.model_id == name
    yield sweep, sweep.c.id.in_(sweeps)
    yield model, model.c.id == name


def count(connection: Connection, table: Table, where: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)


def files(connection: Connection, kind: str, name: str) -> tuple[Path, ...]:
    """The model's folder as it was recorded; the Parquet file of each run, and its folder if it is not finished."""
    runs = scoring_run.c.id if kind == "run" else scoring_run.c.model_id
    parquet = select(scoring_run.c.parquet).where(runs == name, scoring_run.c.parquet.is_not(None))
    folder = select(model.c.path).where(model.c.id == name)
    scores = [Path(each) for each in connection.scalars(parquet)]
    return *map(Path, connection.scalars(folder)), *scores, *(each.with_suffix("") for each in scores)
