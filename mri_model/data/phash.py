"""The perceptual hash of a picture, and which pictures it links."""

import numpy as np
from numpy.typing import NDArray

SIDE, LOW = 32, 8

FLIPS = np.concatenate([np.zeros(1, np.uint64), np.uint64(1) << np.arange(64, dtype=np.uint64)])
"""Exclusive-or masks that leave a hash as it is, or flip one of its bits."""


def perceptual_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The 64-bit DCT hash of each thumbnail (n, 64, 64): one uint64 each, shape (n,).

    As ``phash`` of the imagehash library (https://github.com/JohannesBuchner/imagehash; Krawetz, "Looks Like It",
    2011): 32×32 pixels, two-dimensional DCT-II, the lowest 8×8 coefficients, a bit for each above their median.
    Cosines are whole multiples of 2⁻¹⁴ here, so that every sum is exact and no processor rounds a bit the other way.
    """
    frequency, place = np.arange(LOW)[:, None], 2 * np.arange(SIDE) + 1
    cosines = np.rint(2.0**14 * np.cos(np.pi * frequency * place / (2 * SIDE)))
    small = thumbnails.reshape(-1, SIDE, 2, SIDE, 2).sum(axis=(2, 4), dtype=np.float64)
    low = (cosines @ small @ cosines.T).reshape(-1, LOW * LOW)
    bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
    return bits.view(">u8").ravel().astype(np.uint64)


def hash_links(hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Links (m, 2) that connect exactly the hashes which a chain of steps of at most two bits connects.

    Two hashes differ in at most two bits where flipping at most one bit in each can make them equal: so equal
    neighbours among the 65 variants of all hashes are all the links it takes, at most 65 a hash whatever the input.
    """
    distinct, positions = np.unique(hashes, return_index=True)
    variants = (distinct[:, None] ^ FLIPS).ravel()
    order = np.argsort(variants, kind="stable")
    variants = variants[order]
    equal = np.flatnonzero(variants[1:] == variants[:-1])
    near = positions[np.column_stack([order[equal], order[equal + 1]]) // len(FLIPS)]
    same = np.column_stack([positions[np.searchsorted(distinct, hashes)], np.arange(len(hashes))])
    return np.concatenate([near, same[same[:, 0] != same[:, 1]]])
