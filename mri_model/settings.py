"""Where the system writes: the only place that reads the environment."""

from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings from ``MRI_HOME``, ``MRI_DATABASE_URL`` and ``MRI_WEIGHTS``.

    ``weights`` is what training starts from when nothing else is said: ``imagenet``, ``none``, or the
    path of a torchvision ResNet-18 state dict. ``checkpoint_seconds`` (``MRI_CHECKPOINT_SECONDS``): a killed training
    loses at most so much work.
    """

    model_config = SettingsConfigDict(env_prefix="MRI_", extra="ignore", frozen=True)

    home: Path = Field(default=Path("mri-home"))
    database_url: str = ""
    weights: str = "imagenet"
    checkpoint_seconds: float = Field(default=60.0, ge=0)

    @cached_property
    def root(self) -> Path:
        """``MRI_HOME`` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def results_url(self) -> str:
        """SQLAlchemy URL of the results database; the path of a SQLite file is made absolute: one file everywhere."""
        url = self.database_url or f"sqlite:///{self.root / 'results.db'}"
        file = url.removeprefix("sqlite:///")
        return url if file in (url, ":memory:") else f"sqlite:///{Path(file).resolve()}"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

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
    return Settings()
