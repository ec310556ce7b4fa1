"""Which model to use where the user does not name one."""

import re
from dataclasses import dataclass
from pathlib import Path

from mri_model.errors import MriError
from mri_model.files import read_json
from mri_model.models.metadata import ModelMetadata, read_metadata

BEST, LATEST = "best", "latest"

ELLIPSIS = "…"
"""What tables leave out of a long id: ``resnet18-…-2c3d4e`` names the model too."""


SHOWN_MATCHES = 3


LAST_DIGITS = re.compile("[0-9a-f]{6,}")


def is_named(model_id: str, name: str) -> bool:
    """Whether ``name`` is the id, its start, its last digits, or its short form in tables (``resnet18-…-2c3d4e``)."""
    if LAST_DIGITS.fullmatch(name.strip()) and model_id.endswith(name.strip()):
        return True
    start, dots, end = name.strip().replace("...", ELLIPSIS).partition(ELLIPSIS)
    end = end.removeprefix("-")  # tables put a dash before the last digits
    return bool(start or end) and model_id.startswith(start) and (not dots or model_id.endswith(end))


@dataclass(frozen=True)
class ChosenModel:
    """A model folder and, in one line, which model it is and why it was chosen."""

    folder: Path
    reason: str


def choose_model(name: str, models: Path, manifests: Path) -> ChosenModel:
    """Find a model.

    Args:
        name: ``best`` (the best validation macro-F1 among the models of the newest manifest that has any; models of
            single cross-validation folds only if there are no others), ``latest`` (the last one trained), a model id,
            its start or its short form in tables, or the path of a model folder.
        models: Folder of the model folders.
        manifests: Folder of the manifests; their time of ingestion decides which one is the newest.

    Raises:
        MriError: If there is none, or the name is ambiguous.
    """
    if (Path(name) / "model.json").is_file():
        folder = Path(name).resolve()
        return ChosenModel(folder, f"model {read_metadata(folder).id}: the folder given")
    if name in (BEST, LATEST):
        found = readable_models(models)
        if not found:
            raise MriError("nothing has been trained yet", "run: mri train, or name a model folder with --model")
        return best_model(found, manifests) if name == BEST else latest_model(found)
    matches = sorted(file.parent for file in models.glob("*/model.json") if is_named(file.parent.name, name))
    if len(matches) != 1:
        shown = "".join(f" {each.name}" for each in matches[:SHOWN_MATCHES])
        raise MriError(
            f"{len(matches)} models match {name!r}:{shown}" if matches else f"no model matches {name!r}",
            f"see mri models, or use {BEST} or {LATEST}",
        )
    return ChosenModel(matches[0], f"model {matches[0].name}: the one named")


def readable_models(models: Path) -> dict[Path, ModelMetadata]:
    """The complete model folders; damaged ones are left out. If none can be read, raises the first one's error."""
    found, errors = {}, []
    for file in sorted(models.glob("*/model.json")):
        try:
            found[file.parent] = read_metadata(file.parent)
        except MriError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found


def latest_model(found: dict[Path, ModelMetadata]) -> ChosenModel:
    folder = max(found, key=lambda each: (found[each].created_at, each.name))
    return ChosenModel(folder, f"model {found[folder].id}: the last one trained")


def best_model(found: dict[Path, ModelMetadata], manifests: Path) -> ChosenModel:
    newest = newest_manifest(found, manifests)
    candidates = {folder: each for folder, each in found.items() if each.manifest == newest}
    whole = {folder: each for folder, each in candidates.items() if not each.fold} or candidates
    folder = max(whole, key=lambda each: (whole[each].metrics.val_f1, whole[each].created_at))
    chosen = whole[folder]
    among = f"{len(whole)} models" if len(whole) > 1 else "1 model"
    return ChosenModel(
        folder,
        f"model {chosen.id}: best validation macro-F1 ({chosen.metrics.val_f1:.3f}, {chosen.protocol} split) "
        f"of {among} of manifest {newest}",
    )


def newest_manifest(found: dict[Path, ModelMetadata], manifests: Path) -> str:
    """Digest of the manifest ingested last, of those the models were trained on; the last model's if all are gone."""
    ingested = {digest: ingested_at(manifests / digest) for digest in {each.manifest for each in found.values()}}
    last_model = max(found.values(), key=lambda each: each.created_at)
    return max(ingested, key=lambda digest: (ingested[digest], digest == last_model.manifest))


def ingested_at(folder: Path) -> str:
    """Time of ingestion in ISO 8601 (UTC, so it sorts as text); empty if the manifest is not here."""
    try:
        return str(read_json(folder / "source.json")["ingested_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
