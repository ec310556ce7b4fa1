"""Checks that everything a run needs is there."""

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from mri_model.errors import MriError
from mri_model.settings import Settings


@dataclass(frozen=True)
class Check:
    """One thing that was checked, and the result in a line."""

    name: str
    ok: bool
    result: str


def examine(settings: Settings) -> list[Check]:
    """Run all checks."""
    checks = {
        "home": check_home,
        "database": check_database,
        "incoming": check_incoming,
        "weights": check_weights,
        "device": check_device,
        "prefect": check_prefect,
    }
    return [run_check(name, check, settings) for name, check in checks.items()]


def run_check(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, True, check(settings))
    except MriError as error:
        return Check(name, False, f"{error}; {error.hint}" if error.hint else str(error))
    except OSError as error:
        return Check(name, False, str(error))


def check_home(settings: Settings) -> str:
    settings.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.root):
        free = shutil.disk_usage(settings.root).free
    return f"{settings.root}, {free / 1e9:.0f} GB free"


def check_database(settings: Settings) -> str:
    from mri_model.api import check_database

    return check_database(settings)


def check_incoming(settings: Settings) -> str:
    from mri_model.api import check_incoming

    return check_incoming(settings) if settings.incoming else "MRI_INCOMING is not set: no folder is watched"


def check_weights(settings: Settings) -> str:
    from mri_model.models.network import imagenet_file
    from mri_model.training.recipe import weights_identity

    identity = weights_identity(settings.weights)
    if identity != "imagenet":
        return identity
    file = imagenet_file()
    return str(file) if file.is_file() else "imagenet, downloaded by the first training"


def check_device(settings: Settings) -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}"
    return f"CPU, {os.cpu_count()} cores, PyTorch {torch.__version__}"


def check_prefect(settings: Settings) -> str:
    version = importlib.metadata.version("prefect")
    start = 'no PREFECT_API_URL: eval "$(mri up)" starts a local server'
    return f"{version}, {os.environ.get('PREFECT_API_URL', start)}"
