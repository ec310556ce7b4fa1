"""The model registry: which model is the champion, and the append-only history of who promoted what, and why."""

import getpass
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, func, select

from mri_model.results.schema import model, promotion
from mri_model.results.store import Store

Stage = Literal["candidate", "champion", "retired"]


@dataclass(frozen=True)
class Champion:
    """The model in use.

    Attributes:
        model_id: Its id.
        path: Its folder when it was recorded.
        since: When it was promoted, in UTC.
        why: Why it was promoted.
    """

    model_id: str
    path: Path
    since: datetime
    why: str


def find_champion(store: Store) -> Champion | None:
    """The champion; None if there is none."""
    with store.reading() as connection:
        return champion_of(connection)


def champion_of(connection: Connection) -> Champion | None:
    """The model of the last promotion, if it has not been retired since."""
    last = select(func.max(promotion.c.id)).group_by(promotion.c.model_id)
    champions = select(promotion, model.c.path).join(model).where(promotion.c.id.in_(last))
    newest_first = champions.where(promotion.c.stage == "champion").order_by(promotion.c.id.desc())
    found = connection.execute(newest_first).first()
    return Champion(found.model_id, Path(found.path), found.at, found.why) if found else None


def crown_first(store: Store, model_id: str) -> bool:
    """Make a model the champion if no model has ever been promoted. Returns whether it is the champion now."""
    with store.writing() as connection:
        lock(connection)
        if connection.scalar(select(func.count()).select_from(promotion)):
            return False
        append(connection, model_id, "champion", "the first trained model")
        return True


def promote(store: Store, model_id: str, why: str, forced: bool = False) -> str | None:
    """Make a recorded model the champion and retire the one before.

    Returns:
        Id of the retired model; None if there was none, or if the model is the champion already: then nothing changes.
    """
    with store.writing() as connection:
        lock(connection)
        before = champion_of(connection)
        if before and before.model_id == model_id:
            return None
        append(connection, model_id, "champion", why, forced)
        if before:
            append(connection, before.model_id, "retired", f"replaced by {model_id}", forced)
        return before.model_id if before else None


def append(connection: Connection, model_id: str, stage: Stage, why: str, forced: bool = False) -> None:
    """Add one row to the history."""
    row = {"model_id": model_id, "stage": stage, "who": who(), "why": why, "at": datetime.now(UTC), "forced": forced}
    connection.execute(promotion.insert().values(row))


def lock(connection: Connection) -> None:
    """Let other promotions wait for this transaction. SQLite has a single writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE promotion IN SHARE ROW EXCLUSIVE MODE")


def who() -> str:
    """User and machine, such as ``anna@node7``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
