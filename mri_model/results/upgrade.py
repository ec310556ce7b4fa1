"""The schema of a results database: whose it is, whether it fits this program, and its migrations and views."""

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, select

from mri_model.errors import MriError
from mri_model.results.schema import dataset, metadata, view_digest

SQL = Path(__file__).resolve().parents[2] / "sql"
UPGRADE_LOCK = 0x6D7269  # "mri"; any number that all our processes agree on
VERSION_TABLE = "alembic_version"

_upgrading = threading.Lock()  # Alembic's context is global to the process


def check_owner(engine: Engine, shown_url: str) -> None:
    """Check that the database is empty or holds our tables. Reads only.

    Raises:
        MriError: It belongs to another program.
    """
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        if {dataset.name, view_digest.name} <= tables or not _is_foreign(connection, tables):
            return
    others = sorted(tables - {VERSION_TABLE})
    held = f" (it holds {', '.join(others[:3])}{', …' if len(others) > 3 else ''})" if others else ""
    raise MriError(
        f"the database {shown_url} belongs to another program{held}; it was not changed",
        "set MRI_DATABASE_URL to a database of its own",
    )


def _is_foreign(connection: Connection, tables: set[str]) -> bool:
    """Whether tables that are not ours use our names.

    On PostgreSQL several programs may use one database, as long as their tables have other names than ours.
    """
    others = tables - {VERSION_TABLE}
    if VERSION_TABLE in tables and connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").first():
        return True
    return bool(others if connection.dialect.name == "sqlite" else others & metadata.tables.keys())


def check_current(engine: Engine, shown_url: str) -> None:
    """Check that the tables and views are up to date, for a database that cannot be written.

    Raises:
        MriError: They are not.
    """
    with engine.connect() as connection:
        if not is_current(connection):
            raise MriError(
                f"the results database {shown_url} must be upgraded and cannot be written",
                "make the file and its folder writable for one command, for example mri query models",
            )


def upgrade(engine: Engine) -> None:
    """Migrate the tables and rebuild the views, in one transaction, if they are not up to date."""
    with engine.connect() as connection:
        if is_current(connection):
            return
    with _upgrading, _altering(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
        if not is_current(connection):  # another process may have done it meanwhile
            rebuild(connection)


def is_current(connection: Connection) -> bool:
    """Whether the tables and views are those of this program.

    Raises:
        MriError: The schema is that of a newer version.
    """
    scripts = ScriptDirectory(str(SQL / "migrations"))
    known = [script.revision for script in scripts.walk_revisions()]
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in known:
        raise MriError(
            f"the results database has schema {revision}; this version knows none newer than {known[0]}",
            "install the newer version of this program that wrote it, or use another MRI_DATABASE_URL",
        )
    return revision == known[0] and _stored_views(connection) == {
        name: _digest(sql) for name, sql in view_sources().items()
    }


def rebuild(connection: Connection) -> None:
    """Drop the views, which would block a migration, migrate, and create the views again."""
    if inspect(connection).has_table(view_digest.name):
        drop_views(connection, list(connection.scalars(select(view_digest.c.name))))
        connection.execute(view_digest.delete())
    migrate(connection)
    for name, sql in in_order_of_use(view_sources()).items():
        # without parameters "%" is a plain character: some columns are called so
        connection.exec_driver_sql(f"CREATE VIEW {name} AS\n{sql}", execution_options={"no_parameters": True})
        connection.execute(view_digest.insert().values(name=name, digest=_digest(sql)))


def drop_views(connection: Connection, names: list[str]) -> None:
    """Drop views, some of which may use others."""
    if connection.dialect.name == "postgresql" and names:  # in one statement their order does not matter
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {', '.join(names)}")
        return
    for name in names:  # SQLite looks up what a view uses only when it is read
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def in_order_of_use(views: Mapping[str, str]) -> dict[str, str]:
    """The views, each after those that its SELECT names."""
    words = {name: re.findall(r"\w+", re.sub(r"--.*", "", sql)) for name, sql in views.items()}
    uses = {name: views.keys() & set(used) - {name} for name, used in words.items()}
    return {name: views[name] for name in TopologicalSorter(uses).static_order()}


def migrate(connection: Connection, revision: str = "head") -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SQL / "migrations").replace("%", "%%"))
    command.upgrade(config, revision)


def view_sources() -> dict[str, str]:
    """View name → its SELECT."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((SQL / "views").glob("*.sql"))}


@contextmanager
def _altering(engine: Engine) -> Iterator[Connection]:
    """One transaction that may rebuild tables which others refer to.

    SQLite alters a table by making a new one. While that happens, references point nowhere: they are checked at the
    end (https://sqlite.org/lang_altertable.html, section 7). The switches work outside of a transaction only.
    """
    with engine.execution_options(writes=True).connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        driver = connection.connection.cursor()
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("PRAGMA legacy_alter_table = ON")  # a user's own view of a table does not stop its rebuilding
        try:
            with connection.begin():
                yield connection
                _check_references(connection)
        finally:
            driver.execute("PRAGMA legacy_alter_table = OFF")
            driver.execute("PRAGMA foreign_keys = ON")


def _check_references(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise MriError(
            f"the results database cannot be upgraded: a row of {broken[0]} refers to a missing row of {broken[2]}",
            "restore a backup, or set MRI_DATABASE_URL to another database; this one was not changed",
        )


def _stored_views(connection: Connection) -> dict[str, str]:
    there = set(inspect(connection).get_view_names())
    rows = connection.execute(select(view_digest.c.name, view_digest.c.digest))
    return {row.name: row.digest for row in rows if row.name in there}


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()[:16]
