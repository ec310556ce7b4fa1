"""An inventory with keyed hashes in place of file paths, which may hold names."""

from dataclasses import replace

import pandas as pd

from mri_model.data.hidden_paths import HiddenPaths, extension_of, hash_of
from mri_model.data.inventory import NO_CLASS, Inventory
from mri_model.data.medical.slices import split_slice, with_slice
from mri_model.data.pseudonyms import PSEUDONYM
from mri_model.data.reading import UNKNOWN_EXTENSION


def hide_paths(inventory: Inventory, hidden: HiddenPaths) -> Inventory:
    """The inventory with keyed hashes in place of paths, also in reasons and in the profile."""
    frame, profile = inventory.frame, inventory.profile
    of_slice = frame["series"].notna()
    parts = [split_slice(path) if sliced else (path, "") for path, sliced in zip(frame["path"], of_slice, strict=True)]
    real = [str(inventory.root.resolve()), *profile.ignored, *(file for file, _ in parts)]
    hashes = hidden.hide(dict.fromkeys(real))
    paths = pd.Series([with_slice(hashes[file], part) for file, part in parts], frame.index, dtype=object)
    ignored = tuple(hashes[path] for path in profile.ignored)
    reasons = frame["reason"].map(without_names, "ignore")
    return replace(
        inventory,
        frame=frame.assign(
            path=paths,
            extension=frame["path"].map(lambda path: extension_of(split_slice(path)[0])),
            reason=reasons,
            patient=hide_patients(frame, hidden),
        ),
        profile=replace(profile, ignored=ignored),
        files=frame["path"],
        hidden={hash_of(name): path for path, name in hashes.items()},
    )


def without_names(reason: str) -> str:
    """A rejection reason without the name of a folder or an extension, which may be a part of a name."""
    if " is no class of " in reason:
        return NO_CLASS
    return next((kind for kind in (NO_CLASS, UNKNOWN_EXTENSION) if reason.startswith(kind)), reason)


def hide_patients(frame: pd.DataFrame, hidden: HiddenPaths) -> pd.Series:
    """The column ``patient`` without names from paths; those from DICOM headers are keyed hashes already."""
    is_hash = (frame["format"] == "DICOM") & frame["patient"].astype(str).str.fullmatch(PSEUDONYM)
    return frame["patient"].where(is_hash | frame["patient"].isna(), frame["patient"].map(hidden.person, "ignore"))
