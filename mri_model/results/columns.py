"""Kinds of columns: their types, checks and names, alike on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, Dialect, Double, ForeignKey, Integer, Text, TypeDecorator

ROUNDING_NOISE = 1e-6


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with a time zone, stored in UTC. Moments without a time zone are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if moment.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {moment}")
        moment = moment.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Ratio(TypeDecorator[float]):
    """A fraction from 0 to 1. Up to ``ROUNDING_NOISE`` above 1 is stored as 1: a sum of floats may end there."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:
        if value is not None and 1 < value <= 1 + ROUNDING_NOISE:
            return 1.0
        return None if value is None else float(value)


# Byte order everywhere: ties by name are broken alike on both databases, whatever the server's locale.
TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def text(name: str, *refers_to: ForeignKey, null: bool = False) -> Column[Any]:
    """A text."""
    return Column(name, TEXT, *refers_to, nullable=null)


def key(name: str, *refers_to: ForeignKey, kind: Any = TEXT) -> Column[Any]:
    """A part of the primary key, whose values this program chooses."""
    return Column(name, kind, *refers_to, primary_key=True, autoincrement=False)


def count(name: str, default: int | None = None, *, null: bool = False) -> Column[Any]:
    """A whole number, 0 or more."""
    return Column(name, Integer, CheckConstraint(f"{name} >= 0", name=name), nullable=null, default=default)


def ratio(name: str, *, null: bool = False) -> Column[Any]:
    """A fraction from 0 to 1."""
    return Column(name, Ratio, CheckConstraint(f"{name} BETWEEN 0 AND 1", name=name), nullable=null)


def number(name: str, *, null: bool = False) -> Column[Any]:
    """A float."""
    return Column(name, Double, nullable=null)


def moment(name: str, *, null: bool = False) -> Column[Any]:
    """A moment in UTC."""
    return Column(name, UtcDateTime, nullable=null)


def one_of(name: str, *values: str, default: str | None = None, null: bool = False) -> Column[Any]:
    """One of some texts."""
    allowed = ", ".join(f"'{value}'" for value in values)
    check = CheckConstraint(f"{name} IN ({allowed})", name=name)
    return Column(name, TEXT, check, nullable=null, default=default, server_default=default)


def is_moment(column: str) -> bool:
    """Whether a column of a query's answer holds moments, by its name: ``created_at``, ``at``, ``since``, ``until``.

    SQLite stores them as text, and its answers do not say what a column holds.
    """
    return column in ("at", "since", "until") or column.endswith(("_at", "_until"))


def is_flag(column: str) -> bool:
    """Whether a column of a query's answer is true or false, by its name: SQLite stores 0 and 1."""
    return column in ("forced", "differs")
