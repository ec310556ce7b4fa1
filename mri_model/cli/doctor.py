"""Is everything there that a run needs?"""

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from mri_model.errors import MriError
from mri_model.settings import Settings


@dataclass(frozen=True)
class Issue:
    what: str
    ok: bool
    says: str


def examine(settings: Settings) -> list[Issue]:
    checks = {
        "home": check_home,
        "database": check_database,
        "weights": check_weights,
        "device": check_device,
        "prefect": check_prefect,
    }
    return [*(issue(what, check, settings) for what, check in checks.items())]


def issue(what: str, check: Callable[[Settings], str], settings: Settings) -> Issue:
    try:
        return Issue(what, True, check(settings))
    except MriError as error:
        return Issue(what, False, f"{error} — {error.hint}")
    except OSError as error:
        return Issue(what, False, str(error))


def check_home(settings: Settings) -> str:
    settings.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.root):
        free = shutil.disk_usage(settings.root).free
    return f"{settings.root}, {free / 1e9:.0f} GB free"


def check_database(settings: Settings) -> str:
    from mri_model.api import open_store
    from mri_model.results.database import parse, shown

    with open_store(settings):
        return shown(parse(settings.results_url))


def check_weights(settings: Settings) -> str:
    from mri_model.models.network import imagenet_file
    from mri_model.training.recipe import weights_identity

    identity = weights_identity(settings.weights)
    if identity != "imagenet":
        return identity
    file = imagenet_file()
    return str(file) if file.is_file() else "imagenet, to be downloaded by the first training"


def check_device(settings: Settings) -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}"
    return f"CPU, {os.cpu_count()} cores, PyTorch {torch.__version__}"


def check_prefect(settings: Settings) -> str:
    version = importlib.metadata.version("prefect")
    start = 'no PREFECT_API_URL: eval "$(mri up)" starts a local server'
    return f"{version}, {os.environ.get('PREFECT_API_URL', start)}"
