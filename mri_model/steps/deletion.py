"""The steps of deleting a model or a scoring run."""

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from mri_model.errors import MriError
from mri_model.files import is_locked
from mri_model.settings import Settings
from mri_model.steps.database import open_store

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.results.deletion import Deletion


def plan_deletion(settings: Settings, name: str) -> "Deletion":
    """The rows and files of a model, with the page about it, or of a scoring run."""
    from mri_model.results.deletion import plan

    with open_store(settings) as store:
        found = plan(store, name)
    if found.kind == "model" and is_locked(settings.models / found.id):
        raise MriError(f"model {found.id} is being trained", "stop its training first")
    pages = settings.reports.glob(f"*{found.id}*.html") if found.kind == "model" else ()
    return replace(found, files=tuple(each for each in (*found.files, *sorted(pages)) if each.exists()))


def delete_rows(settings: Settings, deletion: "Deletion") -> None:
    """Delete the rows, all or none."""
    from mri_model.results.deletion import delete

    with open_store(settings) as store:
        delete(store, deletion)


def delete_files(deletion: "Deletion") -> None:
    """Delete the files. Raises MriError if one stays; its rows are gone then."""
    for path in deletion.files:
        try:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        except OSError as error:
            raise MriError(f"cannot delete {path}: {error.strerror}", "delete it by hand; its rows are gone") from None
