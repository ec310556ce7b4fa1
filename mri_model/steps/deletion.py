"""The steps of deleting a model, a sweep or a scoring run. Only what lies below ``MRI_HOME`` is ever deleted."""

import glob
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.errors import MriError
from mri_model.files import is_locked, safe_name
from mri_model.settings import Settings
from mri_model.steps.database import open_store
from mri_model.steps.pages import report_page, sweep_page

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.results.deletion import Deletion

SERIES_END = ".series.parquet"
"""How the name of a run's file of series ends, as ``scoring.parts.series_file`` gives it."""


def plan_deletion(settings: Settings, name: str) -> "Deletion":
    """The rows and files of a model or a sweep, with the pages about it, or of a scoring run.

    A model folder goes whatever is in it: it may be damaged, of an older format or not recorded. So do evaluations
    that wait for the database.
    """
    from mri_model.results.deletion import plan

    folders = [each.name for each in settings.models.glob("[!.]*") if each.is_dir()]
    with open_store(settings) as store:
        found = plan(store, name, folders)
    for model_id in found.models:
        if is_locked(settings.models / model_id):
            raise MriError(f"model {model_id} is being trained", "stop its training first")
    own = existing([*own_files(settings, found), *pages_about(settings, found), *waiting(settings, found)])
    recorded = existing(with_series(found.files), but=own)
    inside = tuple(path for path in recorded if is_below(settings.root, path))
    return replace(found, files=own + inside, outside=tuple(path for path in recorded if path not in inside))


def own_files(settings: Settings, deletion: "Deletion") -> Iterator[Path]:
    """Model folders, Parquet files and folders of runs in this ``MRI_HOME``: recorded paths may be of another one."""
    for folder, names in (
        (settings.models, deletion.models),
        (settings.scores, [f"{run}{end}" for run in deletion.runs for end in (".parquet", SERIES_END, "")]),
    ):
        yield from (folder / name for name in names if Path(os.path.normpath(folder / name)).parent == folder)


def with_series(recorded: Iterable[Path]) -> Iterator[Path]:
    """Each path, and of a file of scores that of the series beside it."""
    for path in recorded:
        yield path
        if path.suffix == ".parquet":
            yield path.with_suffix(SERIES_END)


def pages_about(settings: Settings, deletion: "Deletion") -> Iterator[Path]:
    """The report pages of the models, those that compare them with another one, and those of their sweeps."""
    for model_id in deletion.models:
        name = glob.escape(safe_name(model_id))
        yield from (report_page(settings, model_id, with_images) for with_images in (False, True))
        yield from sorted(settings.reports.glob(f"compare-{name}-*.html"))
        yield from sorted(settings.reports.glob(f"compare-*-{name}.html"))
    for sweep_id in (*deletion.sweeps, *deletion.pooled):
        yield from (sweep_page(settings, sweep_id, with_images) for with_images in (False, True))


def waiting(settings: Settings, deletion: "Deletion") -> Iterator[Path]:
    """Evaluations of the models and sweeps that wait for the database."""
    from mri_model.results.unrecorded import find_unrecorded

    going = {*deletion.models, *deletion.sweeps, *deletion.pooled}
    for each in find_unrecorded(settings.unrecorded):
        if going & {each.row.get("model_id"), each.row.get("sweep_id")}:
            yield each.folder


def existing(paths: Iterable[Path], but: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Those of the paths that exist, each once, without those that are the same as one of ``but``."""
    seen = {path.resolve() for path in but}
    found = {path.resolve(): path for path in paths if path.exists()}
    return tuple(path for place, path in found.items() if place not in seen)


def is_below(root: Path, path: Path) -> bool:
    """Whether a path lies below a folder once links are followed."""
    return root.resolve() in path.resolve().parents


def delete_rows(settings: Settings, deletion: "Deletion") -> None:
    """Delete the rows, all or none."""
    from mri_model.results.deletion import delete

    with open_store(settings) as store:
        delete(store, deletion)


def delete_files(deletion: "Deletion") -> None:
    """Delete the files. Raises MriError if one stays; its rows are gone then."""
    for path in deletion.files:
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        except OSError as error:
            raise MriError(f"cannot delete {path}: {error.strerror}", "delete it by hand; its rows are gone") from None
