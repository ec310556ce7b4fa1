"""Refuse folders whose classes only a person can tell: spellings of one name, and class folders that nest."""

import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from mri_model.data.class_folders import ClassNaming
from mri_model.data.labels import comparable, is_split_folder, parse_label
from mri_model.errors import RefusedError, UsageError

MOST = 3
"""Names shown in a message."""


def check_spelling(classes: Mapping[str, int]) -> None:
    """Check that no two classes, and no two tumors, are spellings of one name (``labels.comparable``).

    Args:
        classes: Number of images by class.

    Raises:
        RefusedError: If there are such names; it shows them with everything that is not ASCII escaped.
    """
    pairs = list(spellings(classes))
    if not pairs:
        return
    listed = "; ".join(f"{one!a} and {other!a}" for one, other, _ in pairs[:MOST])
    more = f"; and {len(pairs) - MOST} more" if len(pairs) > MOST else ""
    one, _, right = pairs[0]
    by_option = f", or use --map {shlex.quote(f'{one}={right}')}" if typable(one + right) else ""
    raise RefusedError(
        f"one class name is spelled in two ways: {listed}{more}",
        f"rename the folders alike{by_option}",
    )


def spellings(classes: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """Pairs of classes that spell one name in two ways, the rarer one first; and the name that it should have."""
    by_class: dict[str, str] = {}
    by_tumor: dict[str, str] = {}
    for name in sorted(classes, key=lambda name: (-classes[name], name)):
        label = parse_label(name)
        same_class = by_class.setdefault(comparable(name), name)
        same_tumor = by_tumor.setdefault(comparable(label.tumor), name)
        tumor = parse_label(same_tumor).tumor
        if same_class != name:
            yield name, same_class, same_class
        elif tumor != label.tumor:
            yield name, same_tumor, f"{tumor} {label.contrast}" if label.contrast else tumor


def typable(text: str) -> bool:
    """Whether what people type is what they see."""
    return text.isprintable() and unicodedata.is_normalized("NFC", text)


def check_places(folders: Iterable[str], naming: ClassNaming) -> None:
    """Check that all class folders lie in one folder, apart from folders such as ``train``.

    Otherwise the lower folders may be patients, or sites may be the upper ones: only a person can say. Folders with a
    contrast in their own name are classes wherever they lie.

    Args:
        folders: POSIX paths, relative to the data root, of the folders that hold accepted images.
        naming: With a level, a person has said it.

    Raises:
        RefusedError: If they lie in several folders; it says which levels there are.
    """
    if naming.level:
        return
    named = {place for folder in folders if (place := naming_place(folder, naming))}
    parents = {tuple(above for above in place[:-1] if not is_split_folder(above)) for place in named}
    if len(parents) < 2:
        return
    deepest = max(map(len, named))
    levels = [f"--class-level {level} ({examples(named, level)})" for level in (*range(1, deepest), -1)]
    raise RefusedError(
        "the class folders are not side by side, so some may be patients or sites: "
        f"{shown(sorted(named)[0])}, {shown(sorted(named)[-1])}",
        f"say which folders are the classes: {' or '.join(levels)}",
    )


def naming_place(folder: str, naming: ClassNaming) -> tuple[str, ...] | None:
    """The folders down to the one that names the class; None if there is no class or it is beyond doubt."""
    found = naming.suggest(folder)
    if not found:
        return None
    place = tuple(folder.split("/")[: found.depth])
    return None if parse_label(place[-1]).contrast or place[-1] in naming.renamed else place


def examples(places: Iterable[tuple[str, ...]], level: int) -> str:
    """Names of some folders at a level."""
    names = sorted({place[level if level < 0 else level - 1] for place in places if len(place) >= level})
    return ", ".join(map(shown_name, names[:MOST])) + (", …" if len(names) > MOST else "")


def shown(place: tuple[str, ...]) -> str:
    return shown_name("/".join(place))


def shown_name(name: str) -> str:
    return name if name.isprintable() else repr(name)


def check_renamed(folders: Iterable[str], naming: ClassNaming) -> None:
    """Check that every class to rename exists. Raises UsageError for one that no folder has."""
    if not naming.renamed:
        return
    found = {each.name for folder in folders for each in naming.found(folder)}
    if unknown := sorted(set(naming.renamed) - found):
        names = ", ".join(map(shown_name, sorted(found)[:10])) + (", …" if len(found) > 10 else "")
        raise UsageError(f"there is no class {unknown[0]!r} to rename", f"use one of {names}")
