"""The results database: what was ingested, trained, evaluated and scored, and named queries over it.

Rows are what ``values`` takes: mappings of column name → value, or a DataFrame.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
from sqlalchemy import URL, Column, ColumnElement, Connection, Engine, Table, and_, case, select, text
from sqlalchemy.dialects import postgresql, sqlite

from mri_model.progress import ProgressCallback, no_progress
from mri_model.results import schema
from mri_model.results.database import connect, writing
from mri_model.results.export import export_tables
from mri_model.results.failures import translated_errors
from mri_model.results.questions import Question, bind, check_parameters, find_question, questions, read_values
from mri_model.results.subjects import Answer, choose, describe, why_empty
from mri_model.results.values import Row, Rows, as_frame, stored_rows

PATHS_A_QUERY = 1000


class Store:
    """One results database, on SQLite or PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    def open(cls, url: str | URL) -> "Store":
        """Open the database at ``url``; create or upgrade its tables and views where needed.

        A SQLite file that cannot be written is opened for reading, if its tables are up to date.

        Raises:
            UnavailableError: The database does not answer now, and may answer later.
            MriError: It cannot be used.
        """
        return cls(connect(url))

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def record_dataset(self, row: Row, classes: Rows) -> None:
        """Record a data set and its classes. One that is recorded already gets a new ``root`` and ``ingested_at``."""
        with self.writing() as connection:
            self._upsert(connection, schema.dataset, row, update=("root", "ingested_at"))
            statement = self.insert(schema.dataset_class).on_conflict_do_nothing()
            execute_many(
                connection, statement, stored_rows(schema.dataset_class, classes, dataset_digest=row["digest"])
            )

    def record_model(self, row: Row, epochs: Rows) -> None:
        """Record a model and its epochs, in place of what was recorded under the same id.

        A trained model keeps its ``created_at``: running its training again does not make it newer.
        """
        created_at = schema.model.c.created_at
        with self.writing() as connection:
            statement = self.insert(schema.model)
            newest = case((schema.model.c.status == "trained", created_at), else_=statement.excluded.created_at)
            self._upsert(connection, schema.model, row, replaced={"created_at": newest})
            _replace(connection, schema.epoch, epochs, model_id=row["id"])

    def mark_stopped(self, model_id: str) -> None:
        """Record that a training was interrupted or cancelled. A model with another status than training keeps it."""
        table = schema.model
        is_training = and_(table.c.id == model_id, table.c.status == "training")
        with self.writing() as connection:
            connection.execute(table.update().where(is_training).values(status="stopped"))

    def training_models(self) -> list[tuple[str, str]]:
        """Id and path of each model whose status is ``training``, the oldest first."""
        table = schema.model
        query = select(table.c.id, table.c.path).where(table.c.status == "training")
        with self.reading() as connection:
            found = connection.execute(query.order_by(table.c.created_at, table.c.id))
            return [(row.id, row.path) for row in found]

    def record_sweep(self, row: Row, model_ids: Iterable[str]) -> None:
        """Record a sweep and the models it has trained so far, in their order.

        Models recorded before stay: a sweep that runs again, and is interrupted, keeps all of its models.

        Args:
            row: ``id`` and ``kind`` (a ``SweepKind``); ``recorded_at`` is now unless given.
            model_ids: Recorded models; one that is listed twice counts once.

        Raises:
            MriError: A model is not recorded; then nothing changes.
        """
        places = [{"model_id": name, "position": place} for place, name in enumerate(dict.fromkeys(model_ids))]
        with self.writing() as connection:
            self._upsert(connection, schema.sweep, {"recorded_at": datetime.now(UTC), **row})
            for place in places:
                self._upsert(connection, schema.sweep_model, {"sweep_id": row["id"], **place})

    def record_evaluation(
        self,
        row: Row,
        class_metric: Rows = (),
        contrast_metric: Rows = (),
        confusion: Rows = (),
        similarity_metric: Rows = (),
        evaluated_image: Rows = (),
    ) -> None:
        """Record an evaluation whole or not at all, in place of what was recorded under the same id.

        ``row`` has either a ``model_id`` or, for the pooled predictions of a cross-validation, a ``sweep_id``. The
        others are the rows of the tables of these names.
        """
        with self.writing() as connection:
            self._upsert(connection, schema.evaluation, row)
            _replace(connection, schema.class_metric, class_metric, evaluation_id=row["id"])
            _replace(connection, schema.contrast_metric, contrast_metric, evaluation_id=row["id"])
            _replace(connection, schema.confusion, confusion, evaluation_id=row["id"])
            _replace(connection, schema.similarity_metric, similarity_metric, evaluation_id=row["id"])
            _replace(connection, schema.evaluated_image, evaluated_image, evaluation_id=row["id"])

    def latest_evaluation(self, model_id: str, dataset_digest: str, split: str = "test") -> str | None:
        """Id of the newest evaluation of a model on a split that has a row for each image; None if there is none."""
        table, images = schema.evaluation, schema.evaluated_image
        query = select(table.c.id).where(
            table.c.model_id == model_id, table.c.dataset_digest == dataset_digest, table.c.split == split
        )
        complete = query.where(select(images.c.path).where(images.c.evaluation_id == table.c.id).exists())
        with self.reading() as connection:
            return connection.scalar(complete.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(1))

    def evaluated_images(self, evaluation_id: str) -> pd.DataFrame:
        """The rows of ``evaluated_image`` of an evaluation, by path."""
        table = schema.evaluated_image
        query = select(table).where(table.c.evaluation_id == evaluation_id).order_by(table.c.path)
        with self.reading() as connection:
            return as_frame([column.name for column in table.columns], connection.execute(query).all())

    def knows_dataset(self, digest: str) -> bool:
        return self._knows(schema.dataset.c.digest, digest)

    def knows_model(self, model_id: str) -> bool:
        """Whether the model is recorded as trained."""
        with self.reading() as connection:
            status = select(schema.model.c.status).where(schema.model.c.id == model_id)
            return connection.scalar(status) == "trained"

    def query(self, name: str, /, **parameters: Any) -> pd.DataFrame:
        """The rows of ``ask``."""
        return self.ask(name, **parameters).rows

    def ask(self, name: str, /, **parameters: Any) -> Answer:
        """Run a named query: a view of ``sql/views`` or a query of ``sql/queries``.

        Args:
            name: The query.
            **parameters: Values of its parameters, as text or plain values; None counts as not given. A model may be
                named by the start of its id.

        Raises:
            UsageError: There is no query of that name (the hint names similar ones), the query has no such parameter,
                or a value is not what it must be.
            MriError: There is no such model or class.
        """
        question = find_question(name)
        check_parameters(question, parameters)
        with self.reading() as connection:
            values = read_values(question, parameters, connection)
            chosen = choose(question, values, connection)
            if question.is_view:
                result = connection.execute(select(text("*")).select_from(text(question.name.replace("-", "_"))))
            else:
                result = connection.execute(bind(question.sql, values | chosen))
            rows = as_frame(list(result.keys()), result.all())
            reason = "" if len(rows) else why_empty(question, values, chosen, connection)
            return Answer(rows, describe(question, chosen, connection), reason)

    @staticmethod
    def questions() -> dict[str, Question]:
        """All named queries by name."""
        return questions()

    def export(self, folder: Path, progress: ProgressCallback = no_progress) -> dict[str, int]:
        """Write every table as Parquet, see ``export.export_tables``. Returns the number of rows of each table."""
        with translated_errors(self._engine.url):
            return export_tables(self._engine, folder, progress)

    def _knows(self, key: Column[Any], value: str) -> bool:
        with self.reading() as connection:
            return connection.scalar(select(key).where(key == value)) is not None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with translated_errors(self._engine.url), writing(self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with translated_errors(self._engine.url), self._engine.connect() as connection:
            yield connection

    def _upsert(
        self,
        connection: Connection,
        table: Table,
        row: Row,
        update: Sequence[str] | None = None,
        replaced: Mapping[str, ColumnElement[Any]] | None = None,
    ) -> None:
        """Insert ``row``, or update the row that has its key.

        Args:
            connection: A transaction that writes.
            table: The table.
            row: Column name → value.
            update: Columns to update in an existing row; default: all.
            replaced: Column name → SQL expression to store in an existing row instead of the value in ``row``.
        """
        statement = self.insert(table).values(stored_rows(table, [row]))
        columns = [column.name for column in table.columns if not column.primary_key]
        values = {name: statement.excluded[name] for name in update or columns}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns), set_={**values, **(replaced or {})}
            )
        )


def _replace(connection: Connection, table: Table, rows: Rows, **owner: str) -> None:
    ((column, value),) = owner.items()
    connection.execute(table.delete().where(table.c[column] == value))
    execute_many(connection, table.insert(), stored_rows(table, rows, **owner))


def execute_many(connection: Connection, statement: Any, values: list[dict[str, Any]]) -> int:
    if not values:
        return 0
    return connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount
