"""The steps of watching incoming folders."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data.listing import check_outside
from mri_model.errors import MriError
from mri_model.progress import Log, duration, no_log
from mri_model.settings import Settings
from mri_model.steps.database import open_store, write_rows

if TYPE_CHECKING:
    from mri_model.results.incoming_ledger import Arrived, LastLook, Look

WATCHER = "look: mri watch, or the deployment watch-incoming"
SHOWN_FOLDERS = 3


def look_at_incoming(settings: Settings, log: Log = no_log) -> "Look":
    """Look at the folders in MRI_INCOMING and record what is there.

    Raises:
        MriError: MRI_INCOMING is not set, is missing, or holds MRI_HOME.
    """
    from mri_model.results.incoming_ledger import IncomingLedger
    from mri_model.scoring.incoming import look_at

    incoming = require_incoming(settings)
    check_outside(settings.root, incoming)
    seen, loose = look_at(incoming)
    rows, settle = [asdict(each) for each in seen], timedelta(seconds=settings.settle_seconds)
    look = write_rows(settings, lambda store: IncomingLedger(store, str(incoming)).look(rows, len(loose), settle), log)
    if loose:
        log(f"not scored, as they are in no folder: {', '.join(loose[:SHOWN_FOLDERS])}")
    return look


def record_attempt(settings: Settings, arrived: "Arrived", problem: str, log: Log = no_log) -> str:
    """Record that the scoring of a folder was asked for, or why that failed. Returns the folder's state."""
    from mri_model.results.incoming_ledger import IncomingLedger

    incoming = str(require_incoming(settings))
    state = write_rows(settings, lambda store: IncomingLedger(store, incoming).tried(arrived, problem), log)
    log(f"{state}  {arrived.folder}{f': {problem}' if problem else ''}")
    return state


def check_incoming(settings: Settings) -> str:
    """The last look, in one line.

    Raises:
        MriError: There was none for some time, or folders that should have been scored were not.
    """
    from mri_model.results.incoming_ledger import LATE, IncomingLedger, counted

    incoming = require_incoming(settings)
    settle = timedelta(seconds=settings.settle_seconds)
    with open_store(settings) as store:
        last = IncomingLedger(store, str(incoming)).last_look(settle)
    if last is None:
        raise MriError(f"nobody has looked at {incoming}", WATCHER)
    ago = f"the last look was {duration(last.age.total_seconds())} ago"
    if last.age > LATE and not last.active:
        raise MriError(f"{incoming}: {ago}", WATCHER)
    if problems := late_folders(last):
        raise MriError(f"{incoming}: {ago}; {'; '.join(problems)}", "see: mri query incoming")
    return f"{incoming}, {ago}: {counted(last.states) or 'no folders'}"


def late_folders(last: "LastLook") -> list[str]:
    """What should have been scored and was not; the first few are named."""
    from mri_model.results.incoming_ledger import loose_files

    lines = [f"not scored: {Path(folder).name} ({why})" for folder, why in last.late.items()]
    more = [f"and {len(lines) - SHOWN_FOLDERS} more"] if len(lines) > SHOWN_FOLDERS else []
    return [*lines[:SHOWN_FOLDERS], *more, *([loose_files(last.n_loose)] if last.n_loose else [])]


def require_incoming(settings: Settings) -> Path:
    """The resolved path of MRI_INCOMING. Raises MriError if it is not set."""
    if settings.incoming is None:
        raise MriError("MRI_INCOMING is not set", "export MRI_INCOMING=FOLDER, which holds the incoming folders")
    return settings.incoming.expanduser().resolve()
