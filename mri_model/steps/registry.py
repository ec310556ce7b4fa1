"""Which model is used, and the steps of a promotion."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mri_model.data.manifest import Manifest, find_manifest
from mri_model.errors import MriError, RefusedError
from mri_model.models.choice import ChosenModel, readable_models
from mri_model.models.choice import choose_model as choose
from mri_model.models.metadata import read_metadata
from mri_model.options import CHAMPION
from mri_model.progress import Log, no_log
from mri_model.settings import Settings
from mri_model.steps.database import ensure_recorded, model_folder, open_store

if TYPE_CHECKING:  # PyTorch, scikit-learn and SQLAlchemy take seconds to import: only the steps that use them do
    from mri_model.evaluation.comparison import Difference
    from mri_model.evaluation.gate import Promotion, Verdict


def choose_model(settings: Settings, name: str, log: Log = no_log) -> Path:
    """The folder of the model ``name``: ``champion``, or see ``models.choice``. Says which one was chosen and why."""
    chosen = choose_champion(settings) if name == CHAMPION else choose(name, settings.models, settings.manifests)
    log(chosen.reason)
    return chosen.folder


def choose_champion(settings: Settings) -> ChosenModel:
    """The champion's folder. Raises MriError if there is no champion, or its folder is gone."""
    from mri_model.results.registry import find_champion

    with open_store(settings) as store:
        champion = find_champion(store)
    if champion is None:
        raise MriError(
            "no model is the champion yet" if readable_models(settings.models) else "nothing has been trained yet",
            "run: mri promote MODEL, or name a model with --model"
            if readable_models(settings.models)
            else "run: mri train, or name a model folder with --model",
        )
    folder = model_folder(settings, champion.model_id, champion.path)
    if (folder / "model.json").is_file():
        since = f"{champion.since:%Y-%m-%d}"
        return ChosenModel(folder, f"model {champion.model_id}: the champion since {since} ({champion.why})")
    raise MriError(
        f"the folder of the champion is gone: {champion.path}", "restore it, or promote another model with --force"
    )


def find_champion_id(settings: Settings) -> str | None:
    """The champion's id; None if no model is the champion."""
    from mri_model.results.registry import find_champion

    with open_store(settings) as store:
        champion = find_champion(store)
    return champion.model_id if champion else None


def find_champion_before(settings: Settings) -> str | None:
    """Id of the champion before the present one; None if there is none."""
    from mri_model.results import registry

    with open_store(settings) as store:
        return registry.find_champion_before(store)


def is_evaluated(settings: Settings, folder: Path, manifest: Manifest) -> bool:
    """Whether a model's answers on the test images of a manifest are recorded."""
    with open_store(settings) as store:
        return store.latest_evaluation(read_metadata(folder).id, manifest.digest) is not None


def compare_with_champion(
    settings: Settings, candidate: Path, champion: Path, manifest: Manifest
) -> "Difference | None":
    """Candidate minus champion on the test images of a manifest; None if they have none in common."""
    from mri_model.evaluation.comparison import compare
    from mri_model.evaluation.units import add_patients

    with open_store(settings) as store:
        found = [store.latest_evaluation(read_metadata(each).id, manifest.digest) for each in (champion, candidate)]
        first, second = (add_patients(store.evaluated_images(str(each)), manifest.frame) for each in found)
    return compare(first, second, manifest.classes)


def judge_fold(settings: Settings, candidate: Path) -> tuple[str, ...]:
    """What speaks against the candidate whatever the champion: that it is one fold of a cross-validation."""
    from mri_model.evaluation.gate import fold_objection

    metadata, manifest = read_metadata(candidate), None
    with suppress(MriError):  # the manifest may be gone
        manifest = find_manifest(settings.manifests, metadata.manifest)
    return tuple(fold_objection(metadata, manifest))


def judge_difference(candidate: Path, champion: Path, difference: "Difference | None") -> tuple[str, ...]:
    """What speaks against the candidate in comparison with the champion."""
    from mri_model.evaluation.gate import objections

    return tuple(objections(read_metadata(candidate), read_metadata(champion), difference))


def pass_gate(candidate: Path, verdict: "Verdict", force: bool, log: Log = no_log) -> None:
    """Let a model pass the gate.

    Args:
        force: Whether objections are a warning only.

    Raises:
        RefusedError: With the objections, unless forced.
    """
    if verdict.objections and not force:
        raise RefusedError(
            f"model {candidate.name} may not become the champion: {'; '.join(verdict.objections)}",
            "use --force to promote it anyway; the history records that",
            {"objections": list(verdict.objections), "difference": verdict.difference},
        )
    if verdict.objections:
        log("warning: forced, although the gate objects:")
        for objection in verdict.objections:
            log(f"  {objection}")


def go_back(settings: Settings, folder: Path, why: str, log: Log = no_log) -> "Promotion":
    """Make the champion before the present one the champion again. The gate is not asked."""
    from mri_model.evaluation.gate import Verdict

    log("the champion before: going back to it is always allowed, and nothing is compared")
    reason = f"went back to {read_metadata(folder).id}"
    return promote_model(settings, folder, f"{reason}: {why}" if why else reason, Verdict(()))


def promote_model(settings: Settings, candidate: Path, why: str, verdict: "Verdict") -> "Promotion":
    """Make a model the champion and retire the one before."""
    from mri_model.evaluation.gate import Promotion
    from mri_model.results.registry import promote

    why = why or ("forced" if verdict.objections else "passed the gate")
    with open_store(settings) as store:
        metadata = ensure_recorded(settings, store, candidate)
        return Promotion(metadata.id, promote(store, metadata.id, why, verdict.objections), verdict)
