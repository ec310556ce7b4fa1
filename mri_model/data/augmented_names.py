"""Augmented files beside their originals: found by their names, confirmed by their pictures.

Augmentation programs write ``aug_1 no._0_1187.jpg`` beside ``1 no.jpeg``. A name alone is no proof (``image (12).jpg``
recurs in the folders of many patients), so two files are linked only if their pictures agree as well.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri_model.data import hog
from mri_model.data.agreement import EDGES, PIXELS
from mri_model.data.pictures import Array
from mri_model.data.similarity import HogVectors, PixelVectors, Turn, Vectors, parts, similarities, turns
from mri_model.data.thumbnails import THUMBNAIL_SIZE, cell_sums, integral, means

Tokens = tuple[str, ...]

WORDS = frozenset(
    re.findall(
        r"\w+",
        """aug augmented augmentation augment rot rotate rotated rotation flip flipped hflip vflip fliplr flipud mirror
        mirrored shift shifted translate translated translation zoom zoomed scale scaled shear sheared crop cropped
        noise noisy gaussian blur blurred bright brighter brightness dark darker contrasted gamma sharpen sharpened
        jitter elastic distorted warp warped affine transformed copy""",
    )
)
"""Words that programs add to the name of a changed copy."""

COMPANIONS = frozenset(
    re.findall(r"\w+", "h v x y c lr ud cw ccw deg degree degrees left right up down horizontal vertical of")
)
"""Words and letters that stand beside ``WORDS``, as numbers do."""

MAX_FAMILY = 256
"""A larger family is not compared: its name says nothing."""

LESS_PIXELS, LESS_EDGES = 0.08, 0.20
"""Two files of one family are linked from a similarity that is so much lower than the threshold for other files.

Measured on the published data set (thresholds 0.90 and 0.77) with drawn augmentations: of random pairs of one tumor
type about 3 % are similar enough, of copies with noise or brightness all, turned by 10° almost 90 %, shifted by 10 % or
zoomed by 20 % about half, turned by 20° a quarter."""

CROP_SIZE = 32


def name_tokens(path: str) -> Tokens:
    """Words and numbers of a file name without its extension, in lower case: ``aug_1 no._0.jpg`` → aug, 1, no, 0."""
    name = path.rsplit("/", 1)[-1]
    stem = name.rpartition(".")[0] or name
    return tuple(re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFKC", stem).casefold()))


def cores(tokens: Tokens) -> list[Tokens]:
    """Names that an original may have if ``tokens`` is the name of its augmented copy: longest first, then earliest.

    The rest holds a word of ``WORDS``, or is two numbers at the end, as Keras writes them.
    """
    n = len(tokens)
    before = next((i for i, token in enumerate(tokens) if not is_affix(token)), n)
    after = next((i for i, token in enumerate(reversed(tokens)) if not is_affix(token)), n)
    found = [
        tokens[start:end]
        for start in range(before + 1)
        for end in range(max(n - after, start + 1), n + 1)
        if is_augmented(tokens[:start], tokens[end:])
    ]
    return sorted(found, key=len, reverse=True)  # stable: earliest first


def is_affix(token: str) -> bool:
    return token.isdecimal() or token in WORDS or token in COMPANIONS


def is_augmented(prefix: Tokens, suffix: Tokens) -> bool:
    by_keras = not prefix and len(suffix) == 2 and all(token.isdecimal() for token in suffix)
    return by_keras or not WORDS.isdisjoint(prefix + suffix)


def families(rows: pd.DataFrame) -> list[list[int]]:
    """Files of one tumor type that are named as one original and its augmented copies, the original first.

    An original in the same folder is preferred. One from another folder counts only if no other file of the tumor type
    has its name.

    Args:
        rows: The accepted images, indexed 0…n-1.
    """
    names = [name_tokens(path) for path in rows["path"]]
    folders = [path.rpartition("/")[0] for path in rows["path"]]
    owners: dict[tuple[object, Tokens], list[int]] = defaultdict(list)
    for row, (name, folder, tumor) in enumerate(zip(names, folders, rows["tumor"], strict=True)):
        owners[tumor, name].append(row)
        owners[(tumor, folder), name].append(row)
    found: dict[int, list[int]] = {}
    for row, (name, folder, tumor) in enumerate(zip(names, folders, rows["tumor"], strict=True)):
        places = [owners.get((place, core), []) for core in cores(name) for place in ((tumor, folder), tumor)]
        original = next((place[0] for place in places if len(place) == 1), None)
        if original is not None:
            found.setdefault(original, [original]).append(row)
    return [members for members in found.values() if len(members) <= MAX_FAMILY]


def augmented_links(
    rows: pd.DataFrame, of_row: Array, pixels: PixelVectors, edges: HogVectors, thresholds: Mapping[str, float | None]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of files of one family whose pictures agree, in some mirrored or turned form.

    Args:
        rows: The accepted images, indexed 0…n-1.
        of_row: Number of the picture of each of them.
        pixels, edges: Vectors of the pictures.
        thresholds: From which similarity images are linked, by its name; None if it does not link.

    Returns:
        Positions in ``rows`` of the first and of the second file of each pair.
    """
    pairs = [pair for members in families(rows) for pair in combinations(members, 2)]
    first, second = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    agree = np.zeros(len(first), dtype=bool)
    for part in parts(len(first)):
        pictures = of_row[first[part]], of_row[second[part]]
        agree[part] = pixels_agree(*pictures, pixels, thresholds[PIXELS.name])
        agree[part] |= edges_agree(*pictures, edges, thresholds[EDGES.name])
    return first[agree], second[agree]


def pixels_agree(first: Array, second: Array, pixels: PixelVectors, threshold: float | None) -> NDArray[np.bool_]:
    """Whether pictures, or the heads in them, are similar enough by pixels: bool of shape (pairs,)."""
    if threshold is None:
        return np.zeros(len(first), dtype=bool)
    which, place = np.unique([first, second], return_inverse=True)
    heads = PixelVectors.of(np.stack([head_crop(grey) for grey in pixels.grey[which]]))
    whole = best_similarity(pixels, first, second, turns(THUMBNAIL_SIZE))
    cropped = best_similarity(heads, place[0], place[1], turns(CROP_SIZE))
    return np.maximum(whole, cropped) >= threshold - LESS_PIXELS


def edges_agree(first: Array, second: Array, edges: HogVectors, threshold: float | None) -> NDArray[np.bool_]:
    """Whether pictures are similar enough by edges: bool of shape (pairs,)."""
    if threshold is None:
        return np.zeros(len(first), dtype=bool)
    return best_similarity(edges, first, second, [hog.MIRRORED]) >= threshold - LESS_EDGES


def best_similarity(vectors: Vectors, first: Array, second: Array, changes: Sequence[Turn]) -> Array:
    """The highest similarity of each pair over its unchanged and its mirrored or turned forms."""
    forms = [vectors, *(vectors.turned(change) for change in changes)]
    return np.max([similarities(vectors, first, form, second) for form in forms], axis=0)


def head_crop(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a thumbnail that is not dark, as uint8 of shape (32 · 32,): shifts and zooms change it little."""
    image = grey.reshape(THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    bright = 2 * grey.size * image.astype(np.int64) > int(grey.sum(dtype=np.int64))
    rows, columns = (np.flatnonzero(bright.sum(axis=axis) >= 2) for axis in (1, 0))
    if min(len(rows), len(columns)) >= THUMBNAIL_SIZE // 8:
        image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return means(cell_sums(integral(np.ascontiguousarray(image)), CROP_SIZE), image.size).ravel()
