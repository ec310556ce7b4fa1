"""The model registry: which model is the champion, and the append-only history of who promoted what, and why."""

import getpass
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, func, select

from mri_model.errors import MriError
from mri_model.results.schema import Stage, model, promotion
from mri_model.results.store import Store


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
    recorded = promotion.join(model, promotion.c.model_id == model.c.id)
    champions = select(promotion, model.c.path).select_from(recorded).where(promotion.c.id.in_(last))
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


def promote(store: Store, model_id: str, why: str, objections: Sequence[str] = ()) -> str | None:
    """Make a recorded model the champion and retire the one before.

    Args:
        objections: What the gate had against it; with any, the promotion is a forced one.

    Returns:
        Id of the retired model; None if there was none, or if the model is the champion already: then nothing changes.

    Raises:
        MriError: The model is not recorded.
    """
    with store.writing() as connection:
        lock(connection)
        before = champion_of(connection)
        if before and before.model_id == model_id:
            return None
        if connection.scalar(select(model.c.id).where(model.c.id == model_id)) is None:
            raise MriError(f"no model {model_id} is recorded", "run: mri models, which lists them")
        append(connection, model_id, "champion", why, objections)
        if before:
            append(connection, before.model_id, "retired", f"replaced by {model_id}")
        return before.model_id if before else None


def append(connection: Connection, model_id: str, stage: Stage, why: str, objections: Sequence[str] = ()) -> None:
    """Add one row to the history."""
    row = {"model_id": model_id, "stage": stage, "who": who(), "why": why, "at": datetime.now(UTC)}
    row |= {"forced": bool(objections), "objections": "; ".join(objections) or None}
    connection.execute(promotion.insert().values(row))


def append_deletion(connection: Connection, model_id: str) -> None:
    """Say in the history of a model that it is deleted now; a model without a history gets none."""
    newest_first = select(promotion.c.stage).where(promotion.c.model_id == model_id).order_by(promotion.c.id.desc())
    if connection.scalar(newest_first.limit(1)) not in (None, "deleted"):
        append(connection, model_id, "deleted", "mri delete")


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
