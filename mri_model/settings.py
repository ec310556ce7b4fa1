"""Settings from the environment: where the system writes. The only module that reads ``MRI_*`` variables."""

import os
import reprlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mri_model.errors import MriError

if TYPE_CHECKING:
    from sqlalchemy import URL

DATABASE_HINT = "set MRI_DATABASE_URL to sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


class Settings(BaseSettings):
    """Settings from ``MRI_*`` variables. A variable that is set but empty counts as unset.

    Attributes:
        home: ``MRI_HOME``. Folder for everything the system writes. It may not exist yet.
        database_url: ``MRI_DATABASE_URL``. Empty: SQLite in ``home``.
        weights: ``MRI_WEIGHTS``. Initial weights of a training: ``imagenet``, ``none``, or the path of a
            torchvision ResNet-18 state dict.
        checkpoint_seconds: ``MRI_CHECKPOINT_SECONDS``. A killed training loses at most this much work.
        database_seconds: ``MRI_DATABASE_SECONDS``. How long to wait for a results database that is away.
        incoming: ``MRI_INCOMING``. Folder whose subfolders are scored when they have arrived; None: off.
        settle_seconds: ``MRI_SETTLE_SECONDS``. How long an incoming folder must have been unchanged.
    """

    model_config = SettingsConfigDict(
        env_prefix="MRI_", env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True
    )

    home: Path = Field(default=Path("mri-home"), description="the path of a folder")
    database_url: str = Field(default="", description="a database URL")
    weights: str = Field(default="imagenet", description="imagenet, none, or the path of a state dict")
    checkpoint_seconds: float = Field(
        default=60.0, ge=0, allow_inf_nan=False, description="a number of seconds, 0 or more"
    )

    database_seconds: float = Field(
        default=90.0, ge=0, allow_inf_nan=False, description="a number of seconds, 0 or more"
    )

    incoming: Path | None = Field(default=None, description="the path of a folder")
    settle_seconds: float = Field(default=60.0, ge=0, allow_inf_nan=False, description="a number of seconds, 0 or more")

    @field_validator("home")
    @classmethod
    def check_home(cls, home: Path) -> Path:
        """Refuse a path that is no folder and cannot become one. Nothing is written."""
        try:
            problem = folder_problem(home.expanduser().resolve())
        except UnicodeEncodeError:
            problem = "its name is not UTF-8"
        except (OSError, RuntimeError, ValueError) as error:  # too long, ~nobody, a loop of links, NUL
            problem = getattr(error, "strerror", None) or str(error)
        if problem:
            raise PydanticCustomError("folder", "it must be a folder: {problem}", {"problem": problem})
        return home

    @field_validator("database_url", "weights")
    @classmethod
    def check_text(cls, text: str) -> str:
        """Refuse bytes that are not UTF-8: they cannot be written to JSON, SQL or TOML."""
        text.encode()
        return text

    @field_validator("incoming")
    @classmethod
    def check_incoming(cls, incoming: Path | None) -> Path | None:
        """Refuse a path that no folder can have. Whether it is there is checked at each look: a share may be away."""
        try:
            str(incoming.expanduser().resolve()).encode() if incoming else None
        except (UnicodeEncodeError, OSError, RuntimeError, ValueError):  # ~nobody, a loop of links, NUL
            raise PydanticCustomError("path", "it must be the path of a folder") from None
        return incoming

    @cached_property
    def root(self) -> Path:
        """``MRI_HOME`` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def results_url(self) -> "URL":
        """SQLAlchemy URL of the results database. The path of an SQLite file is absolute.

        An object and not a string: in SQLAlchemy 2.0 no string can hold a path with a ``?``.

        Raises:
            MriError: ``MRI_DATABASE_URL`` is not a database URL. The message does not repeat it: it may hold a
                password.
        """
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError

        if not self.database_url:
            return URL.create("sqlite", database=str(self.root / "results.db"))
        try:
            url = make_url(self.database_url)
        except (ArgumentError, ValueError):
            raise MriError("MRI_DATABASE_URL is not a database URL", DATABASE_HINT) from None
        if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
            return url
        if "?" in self.database_url and not url.query:
            raise MriError("MRI_DATABASE_URL: a path in a URL cannot hold a '?'", "rename the folder, or set MRI_HOME")
        return url.set(database=str(Path(url.database).resolve()))

    def as_variables(self) -> dict[str, str]:
        """The environment variables that give a process in another folder the same settings.

        Raises:
            MriError: ``MRI_DATABASE_URL`` is a relative path, and the current folder has a ``?`` in its name.
        """
        from sqlalchemy import make_url

        url = self.results_url.render_as_string(hide_password=False) if self.database_url else ""
        if url and make_url(url) != self.results_url:
            raise MriError(
                f"MRI_DATABASE_URL cannot hold the path of {self.results_url.database}: it has a '?'",
                "run from another folder, or unset MRI_DATABASE_URL and set MRI_HOME",
            )
        weights = Path(self.weights)
        return {
            "MRI_HOME": str(self.root),
            "MRI_DATABASE_URL": url,
            "MRI_WEIGHTS": str(weights.resolve()) if weights.is_file() else self.weights,
            "MRI_CHECKPOINT_SECONDS": str(self.checkpoint_seconds),
            "MRI_DATABASE_SECONDS": str(self.database_seconds),
            "MRI_INCOMING": str(self.incoming.expanduser().resolve()) if self.incoming else "",
            "MRI_SETTLE_SECONDS": str(self.settle_seconds),
        }

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def arrived(self) -> Path:
        """Manifests of labelled images that arrived after a training; they are never the latest one."""
        return self.root / "arrived"

    @property
    def unrecorded(self) -> Path:
        """Evaluations that wait for the database."""
        return self.root / "unrecorded"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def private(self) -> Path:
        """The key of the pseudonyms, and what they stand for."""
        return self.root / "private"

    @property
    def pixels(self) -> Path:
        return self.root / "pixels"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def scores(self) -> Path:
        return self.root / "scores"

    @property
    def reports(self) -> Path:
        return self.root / "reports"


def load_settings() -> Settings:
    """Settings from the environment.

    Raises:
        MriError: A variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    variables = " and ".join(dict.fromkeys(variable_name(error) for error in errors))
    raise MriError(
        "; ".join(map(describe_error, errors)), f"set {variables} to another value, or unset it to use the default"
    )


def variable_name(error: ErrorDetails) -> str:
    return f"MRI_{error['loc'][0]}".upper()


def describe_error(error: ErrorDetails) -> str:
    """One line: variable, value and what the value must be. The value of a URL is left out: it may hold a password."""
    field = str(error["loc"][0])
    value = "" if field == "database_url" else f" is {reprlib.repr(str(error['input']))}, but"
    wanted = Settings.model_fields[field].description
    own_words = error["msg"] if error["type"] == "folder" else f"it must be {wanted}"
    return f"{variable_name(error)}{value} {own_words}"


def folder_problem(path: Path) -> str | None:
    """Why ``path`` is no folder and cannot become one; None if it is one, or can be made.

    Raises OSError or ValueError if the path cannot be looked at.
    """
    str(path).encode()
    if path.exists():
        return None if path.is_dir() else "it is a file"
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        return f"{above} is a file"
    may_write = os.access(above, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    return None if may_write else f"it does not exist, and {above} is read-only"
