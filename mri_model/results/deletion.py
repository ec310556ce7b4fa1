"""Really deleting a model, a sweep or a scoring run: its rows, and the paths of its files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Select, Table, func, or_, select

from mri_model.errors import MriError, RefusedError
from mri_model.models.choice import is_named
from mri_model.results.registry import append_deletion, champion_of, lock
from mri_model.results.schema import (
    class_metric,
    confusion,
    contrast_metric,
    drift_metric,
    epoch,
    evaluated_image,
    evaluation,
    model,
    prediction,
    promotion,
    scoring_run,
    scoring_shard,
    series_prediction,
    similarity_metric,
    sweep,
    sweep_model,
)
from mri_model.results.store import Store


@dataclass(frozen=True)
class Deletion:
    """What belongs to a model, a sweep or a scoring run.

    Attributes:
        kind: ``model``, ``sweep`` or ``run``.
        id: Its id.
        models: The models that go; of a sweep, those that belong to no other one.
        sweeps: The sweeps that go: those that keep no model.
        pooled: The cross-validations that lose a model and keep others; their pooled evaluation goes.
        runs: The scoring runs that go.
        rows: Number of rows by table, without tables that have none.
        kept: Number of rows of the models' history in ``promotion``, which stay.
        files: Folders and files, as they were recorded; some may not exist.
        outside: Those that are not below ``MRI_HOME`` and stay.
    """

    kind: str
    id: str
    models: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    pooled: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    files: tuple[Path, ...] = ()
    outside: tuple[Path, ...] = ()


def plan(store: Store, name: str, folders: Iterable[str] = ()) -> Deletion:
    """What deleting a model, a sweep or a scoring run removes.

    Args:
        name: Its id or the start of one.
        folders: Names of the model folders, which may be of models that are not recorded.

    Raises:
        MriError: If none or several begin so.
        RefusedError: If the champion would go.
    """
    with store.reading() as connection:
        kind, found = find(connection, name, folders)
        deletion = members(connection, kind, found)
        refuse_champion(connection, deletion)
        counts = {table.name: count(connection, table, where) for table, where in parts(deletion)}
        rows = {table: n for table, n in counts.items() if n}
        kept = count(connection, promotion, promotion.c.model_id.in_(deletion.models))
        return replace(deletion, rows=rows, kept=kept, files=files(connection, deletion))


def delete(store: Store, deletion: Deletion) -> None:
    """Delete the rows, all or none; the history stays and says so. The files are the caller's.

    Raises:
        RefusedError: If one of the models has become the champion.
    """
    with store.writing() as connection:
        lock(connection)
        refuse_champion(connection, deletion)
        for model_id in deletion.models:
            append_deletion(connection, model_id)
        for table, where in parts(deletion):
            connection.execute(table.delete().where(where))


def refuse_champion(connection: Connection, deletion: Deletion) -> None:
    """Raises RefusedError if the champion is among the models."""
    champion = champion_of(connection)
    if champion and champion.model_id in deletion.models:
        of_sweep = f" of {deletion.id}" if deletion.kind == "sweep" else ""
        raise RefusedError(
            f"model {champion.model_id}{of_sweep} is the champion", "promote another one first: mri promote MODEL"
        )


def find(connection: Connection, name: str, folders: Iterable[str]) -> tuple[str, str]:
    """Kind and id of the only one whose id begins with ``name``; of models, recorded ones and those in ``folders``."""
    ids = {
        "model": {*connection.scalars(select(model.c.id)), *folders},
        "sweep": {*connection.scalars(select(sweep.c.id))},
        "run": {*connection.scalars(select(scoring_run.c.id))},
    }
    known = [(kind, each) for kind, names in ids.items() for each in sorted(names)]
    found = [(kind, each) for kind, each in known if is_named(each, name)]
    chosen = [(kind, each) for kind, each in found if each == name] or found
    if len(chosen) != 1:
        many = f"{len(chosen)} models, sweeps and scoring runs begin with {name!r}"
        raise MriError(many, "give the whole id: mri models, mri query sweeps, mri query scored-runs")
    return chosen[0]


def members(connection: Connection, kind: str, name: str) -> Deletion:
    """The models, sweeps and runs that go."""
    if kind == "run":
        return Deletion(kind, name, runs=(name,))
    models = tuple(connection.scalars(own_models(name))) if kind == "sweep" else (name,)
    links = connection.execute(
        select(sweep_model.c.sweep_id, sweep.c.kind, sweep_model.c.model_id)
        .join(sweep, sweep.c.id == sweep_model.c.sweep_id)
        .where(sweep_model.c.sweep_id.in_(select(sweep_model.c.sweep_id).where(sweep_model.c.model_id.in_(models))))
        .order_by(sweep_model.c.sweep_id)
    ).all()
    staying = {link.sweep_id for link in links if link.model_id not in models} - {name}
    going = {link.sweep_id for link in links} - staying | ({name} if kind == "sweep" else set())
    return Deletion(
        kind,
        name,
        models=models,
        sweeps=tuple(sorted(going)),
        pooled=tuple(sorted({link.sweep_id for link in links if link.sweep_id in staying and link.kind == "folds"})),
        runs=tuple(
            connection.scalars(
                select(scoring_run.c.id).where(scoring_run.c.model_id.in_(models)).order_by(scoring_run.c.id)
            )
        ),
    )


def own_models(sweep_id: str) -> Select[tuple[str]]:
    """The models of a sweep that belong to no other one, in its order."""
    shared = select(sweep_model.c.model_id).where(sweep_model.c.sweep_id != sweep_id)
    own = select(sweep_model.c.model_id).where(sweep_model.c.sweep_id == sweep_id)
    return own.where(sweep_model.c.model_id.not_in(shared)).order_by(sweep_model.c.position, sweep_model.c.model_id)


def parts(deletion: Deletion) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """The tables with rows that go, and which rows these are; those that refer to others come first."""
    if deletion.kind == "run":
        yield prediction, prediction.c.run_id == deletion.id
        yield scoring_shard, scoring_shard.c.run_id == deletion.id
        yield drift_metric, drift_metric.c.run_id == deletion.id
        yield series_prediction, series_prediction.c.run_id == deletion.id
        yield scoring_run, scoring_run.c.id == deletion.id
        return
    models, sweeps = deletion.models, deletion.sweeps
    own = or_(evaluation.c.model_id.in_(models), evaluation.c.sweep_id.in_([*sweeps, *deletion.pooled]))
    for table in (class_metric, contrast_metric, confusion, similarity_metric, evaluated_image):
        yield table, table.c.evaluation_id.in_(select(evaluation.c.id).where(own))
    yield evaluation, own
    yield prediction, prediction.c.model_id.in_(models)
    yield scoring_shard, scoring_shard.c.run_id.in_(deletion.runs)
    yield drift_metric, drift_metric.c.run_id.in_(deletion.runs)
    yield series_prediction, series_prediction.c.run_id.in_(deletion.runs)
    yield scoring_run, scoring_run.c.model_id.in_(models)
    yield epoch, epoch.c.model_id.in_(models)
    yield sweep_model, or_(sweep_model.c.model_id.in_(models), sweep_model.c.sweep_id.in_(sweeps))
    yield sweep, sweep.c.id.in_(sweeps)
    yield model, model.c.id.in_(models)


def count(connection: Connection, table: Table, where: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)


def files(connection: Connection, deletion: Deletion) -> tuple[Path, ...]:
    """The models' folders and the Parquet files of the runs, as they were recorded."""
    one_run = deletion.kind == "run"
    going = scoring_run.c.id == deletion.id if one_run else scoring_run.c.model_id.in_(deletion.models)
    parquet = select(scoring_run.c.parquet).where(going, scoring_run.c.parquet.is_not(None)).order_by(scoring_run.c.id)
    folders = select(model.c.path).where(model.c.id.in_(deletion.models)).order_by(model.c.id)
    return tuple(Path(each) for query in (folders, parquet) for each in connection.scalars(query))
