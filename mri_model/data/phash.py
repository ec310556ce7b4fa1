"""Perceptual hashes of thumbnails, and links between similar hashes."""

import numpy as np
from numpy.typing import NDArray

SIZE, LOW = 32, 8
"""Pixels and lowest frequencies of the cosine transform, along each axis."""

FLIPS = np.concatenate([np.zeros(1, np.uint64), np.uint64(1) << np.arange(64, dtype=np.uint64)])
"""Exclusive-or masks that flip no bit or one bit of a hash."""


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The 64-bit DCT hash of each thumbnail.

    The algorithm is ``phash`` of the imagehash library (https://github.com/JohannesBuchner/imagehash; Krawetz, "Looks
    Like It", 2011): reduce to 32×32 pixels, two-dimensional DCT-II, take the lowest 8×8 coefficients, set the bits of
    those above the median. Here cosines are rounded to multiples of 2⁻¹⁴. Every sum is then exact, and the hash does
    not depend on the processor.

    Args:
        thumbnails: Shape (n, 64, 64).

    Returns:
        Shape (n,).
    """
    frequency, place = np.arange(LOW)[:, None], 2 * np.arange(SIZE) + 1
    cosines = np.rint(2.0**14 * np.cos(np.pi * frequency * place / (2 * SIZE)))
    small = thumbnails.reshape(-1, SIZE, 2, SIZE, 2).sum(axis=(2, 4), dtype=np.float64)
    low = (cosines @ small @ cosines.T).reshape(-1, LOW * LOW)
    bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
    return bits.view(">u8").ravel().astype(np.uint64)


def hash_links(hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Links whose connected components are those of all pairs of hashes that differ in at most two bits.

    Two hashes differ in at most two bits if and only if flipping at most one bit in each can make them equal. It is
    therefore enough to sort the 65 variants of every hash and to link equal neighbours. This gives at most 65 links per
    hash.

    Args:
        hashes: Shape (n,).

    Returns:
        Pairs of positions in ``hashes``, shape (m, 2).
    """
    distinct, positions = np.unique(hashes, return_index=True)
    variants = (distinct[:, None] ^ FLIPS).ravel()
    order = np.argsort(variants, kind="stable")
    variants = variants[order]
    equal = np.flatnonzero(variants[1:] == variants[:-1])
    near = positions[np.column_stack([order[equal], order[equal + 1]]) // len(FLIPS)]
    same = np.column_stack([positions[np.searchsorted(distinct, hashes)], np.arange(len(hashes))])
    return np.concatenate([near, same[same[:, 0] != same[:, 1]]])
