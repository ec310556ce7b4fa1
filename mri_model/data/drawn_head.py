"""A drawn MRI image of a head: anatomy, a tumor and the scanner's noise.

Coordinates are head radii: ``u`` to the right, ``v`` to the back of the head (down the image), the skin at radius 1.
Grey values are 0 (black) to 1 (white).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mri_model.data.labels import CONTRASTS

Plane = NDArray[Any]  # (height, width) float32
Rng = np.random.Generator
Pair = tuple[float, float]
Triple = tuple[float, float, float]  # one grey value per contrast, in the order of CONTRASTS


@dataclass(frozen=True)
class Signature:
    """How one tumor type looks. Lengths are head radii; there is one grey value per contrast."""

    tumor: str
    place: Pair  # the usual centre; u is mirrored at random
    size: Pair  # smallest and largest radius
    level: Pair  # slice level: below 0.3 the cerebellum shows, from 0.3 up the lateral ventricles
    core: Triple
    rim: Triple = (0, 0, 0)
    rim_width: float = 0.0  # share of the radius; 0 draws a solid lesion
    spread: float = 0.05  # standard deviation of the centre
    count: int = 1
    scatter: float = 0.0  # how far the several lesions lie from the centre
    lobes: int = 2
    depth: float = 0.06  # how deep the lobes cut
    stretch: float = 1.0  # length divided by width
    bite: float = 0.0  # distance, in radii, of a disc that is cut out, which leaves a crescent
    nodule: float = 0.0  # radius of a bright nodule in a cyst
    grain: float = 0.04  # strength of the inner texture
    halo: float = 0.0  # width of the edema around it
    ventricles: float = 1.0  # their size relative to a healthy head


EDEMA = (0.36, 0.36, 0.78)
SOLID, MURKY, NECROTIC, CYST = (0.26, 0.96, 0.86), (0.24, 0.36, 0.90), (0.12, 0.14, 0.96), (0.10, 0.12, 1.0)
CASEOUS, CLOTTED, CALCIFIED = (0.20, 0.24, 0.18), (0.78, 0.66, 0.66), (0.20, 0.34, 0.92)
BRIGHT, BLOODY = (0.28, 1.0, 0.60), (0.74, 1.0, 0.60)
HIGH, MIDDLE, LOW = (0.55, 1.0), (0.32, 0.8), (0.0, 0.28)

SIGNATURES = (
    Signature("Astrocitoma", (0.34, -0.30), (0.27, 0.36), MIDDLE, MURKY, depth=0.12, halo=0.05),
    Signature("Carcinoma", (0, 0), (0.11, 0.15), HIGH, NECROTIC, BRIGHT, 0.42, 0.03, 4, scatter=0.50, halo=0.08),
    Signature("Ependimoma", (0, 0.22), (0.20, 0.26), LOW, SOLID, lobes=4, depth=0.28, grain=0.10),
    Signature("Ganglioglioma", (0.54, 0.08), (0.22, 0.27), MIDDLE, CYST, nodule=0.12),
    Signature("Germinoma", (0, 0.04), (0.17, 0.22), MIDDLE, SOLID, spread=0.02),
    Signature("Glioblastoma", (0.32, 0.05), (0.32, 0.40), HIGH, NECROTIC, BRIGHT, 0.3, lobes=5, depth=0.16, halo=0.14),
    Signature("Granuloma", (0.40, 0.38), (0.18, 0.23), HIGH, CASEOUS, BLOODY, 0.3, halo=0.12),
    Signature("Meduloblastoma", (0, 0.50), (0.27, 0.33), LOW, SOLID),
    Signature("Meningioma", (0.62, -0.28), (0.27, 0.34), MIDDLE, SOLID, stretch=1.35),
    Signature("Neurocitoma", (0.10, -0.14), (0.24, 0.30), MIDDLE, CLOTTED, grain=0.30),
    Signature("Oligodendroglioma", (0.30, -0.58), (0.25, 0.31), HIGH, CALCIFIED, stretch=1.6, grain=0.16),
    Signature("Papiloma", (0.28, 0.28), (0.23, 0.29), MIDDLE, SOLID, lobes=7, depth=0.34, ventricles=1.7),
    Signature("Schwannoma", (0.46, 0.16), (0.25, 0.31), LOW, SOLID, bite=0.75),
    Signature("Tuberculoma", (0.34, -0.04), (0.11, 0.15), HIGH, CASEOUS, BLOODY, 0.4, 0.05, 5, scatter=0.19),
)


@dataclass(frozen=True)
class Tissue:
    """Grey value of each tissue in one contrast."""

    fat: float
    bone: float
    csf: float
    grey: float
    white: float
    vessel: float


TISSUE = {
    "T1": Tissue(fat=0.86, bone=0.07, csf=0.12, grey=0.44, white=0.62, vessel=0.16),
    "T1C+": Tissue(fat=0.86, bone=0.07, csf=0.14, grey=0.46, white=0.60, vessel=1.0),
    "T2": Tissue(fat=0.58, bone=0.05, csf=0.98, grey=0.56, white=0.36, vessel=0.08),
}


def _smooth(rng: Rng, shape: tuple[int, int], cells: int) -> Plane:
    """Noise of about unit variance that changes over 1/``cells`` of the image."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _inside(distance: Plane, edge: float = 0.03) -> Plane:
    """Coverage, 0 to 1, of the region where ``distance`` is negative; the edge is ``edge`` wide."""
    return np.clip(0.5 - distance * (1 / edge), 0, 1)


def _oval(u: Plane, v: Plane, centre: Pair, radii: Pair, degrees: float = 0.0) -> Plane:
    """Roughly the distance to an ellipse's outline, negative inside."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    du, dv = u - centre[0], v - centre[1]
    across, along = (cos * du + sin * dv) / radii[0], (cos * dv - sin * du) / radii[1]
    return (np.sqrt(across * across + along * along) - 1) * min(radii)


def _paint(picture: Plane, cover: Plane, value: float | Plane) -> None:
    picture += cover * (value - picture)


def _pose(rng: Rng, shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Head coordinates (u, v) of every pixel: position, size, rotation and outline of this head."""
    height, width = shape
    breadth = rng.uniform(0.78, 0.88)
    radius = min(height, width / breadth) * rng.uniform(0.43, 0.49)
    slack_x, slack_y = width / 2 - radius * breadth, height / 2 - radius
    centre_x = width / 2 + rng.uniform(-0.5, 0.5) * slack_x
    centre_y = height / 2 + rng.uniform(-0.5, 0.5) * slack_y
    angle = math.radians(min(11.0, max(-11.0, rng.normal(0, 4.5))))
    x = (np.arange(width, dtype=np.float32)[None, :] - centre_x) / radius
    y = (np.arange(height, dtype=np.float32)[:, None] - centre_y) / radius
    cos, sin = math.cos(angle), math.sin(angle)
    u = (cos * x + sin * y) / breadth + 0.018 * _smooth(rng, shape, 5)
    v = cos * y - sin * x + 0.018 * _smooth(rng, shape, 5)
    return u * (1.0 - 0.07 * v), v


def _head(rng: Rng, u: Plane, v: Plane, tissue: Tissue) -> Plane:
    """Skin, skull and brain surface with its folds, which every slice shows."""
    r = np.sqrt(u * u + v * v)
    picture = np.full_like(u, 0.02)
    skull = rng.uniform(0.91, 0.95)
    _paint(picture, _inside(r - 1), tissue.fat)
    _paint(picture, _inside(r - skull), tissue.bone)
    _paint(picture, _inside(r - skull + 0.055), tissue.csf)
    brain = _inside(r - skull + 0.09)
    outer = np.clip((r - rng.uniform(0.38, 0.52)) * 2.6, 0, 1)
    fold = np.abs(_smooth(rng, u.shape, int(rng.integers(18, 25))))
    _paint(picture, brain, tissue.grey)
    _paint(picture, _inside(r - skull + 0.15) * _inside(0.42 * outer - fold, 0.15), tissue.white)
    _paint(picture, brain * _inside(fold - rng.uniform(0.08, 0.18) * outer, 0.12), tissue.csf)
    _paint(picture, brain * _inside(np.abs(u) - 0.010, 0.02) * np.clip(np.abs(v) * 3 - 0.8, 0, 1), tissue.vessel)
    return picture


def _ventricles(picture: Plane, u: Plane, v: Plane, tissue: Tissue, level: float, scale: float) -> None:
    """Lateral ventricles, third ventricle and deep nuclei; smaller towards the top of the head."""
    scale *= 1.15 - 0.55 * level
    side = np.abs(u)
    _paint(picture, _inside(_oval(side, v, (0.23, 0.02), (0.10, 0.19), -18)), tissue.grey)
    front = _oval(side, v, (0.10, -0.20), (0.065 * scale, 0.19 * scale), 14)
    back = _oval(side, v, (0.17, 0.26), (0.06 * scale, 0.20 * scale), -22)
    third = _oval(side, v, (0.0, 0.05), (0.018 * scale, 0.12))
    _paint(picture, _inside(np.minimum(np.minimum(front, back), third)), tissue.csf)


def _hindbrain(picture: Plane, u: Plane, v: Plane, tissue: Tissue, scale: float) -> None:
    """Cerebellum with its folia, brain stem, fourth ventricle, cisterns and the petrous bones."""
    side = np.abs(u)
    cerebellum = _inside(_oval(u, v, (0.0, 0.46), (0.68, 0.36)))
    folia = 0.5 + 0.5 * np.sin(46 * np.sqrt(side * side + (v - 0.1) ** 2))
    _paint(picture, cerebellum, tissue.grey + (tissue.white - tissue.grey) * folia)
    _paint(picture, _inside(_oval(u, v, (0.0, -0.16), (0.24, 0.13))), tissue.csf)
    _paint(picture, _inside(_oval(u, v, (0.0, 0.0), (0.18, 0.15))), tissue.white)
    _paint(picture, _inside(_oval(u, v, (0.0, 0.21), (0.09 * scale, 0.07 * scale))), tissue.csf)
    _paint(picture, _inside(_oval(side, v, (0.56, 0.03), (0.24, 0.05), 24)), tissue.bone)


def _vessels(rng: Rng, picture: Plane, u: Plane, v: Plane, tissue: Tissue) -> None:
    """Sagittal sinus, front and back, and two to five vessels; bright with contrast agent, dark without."""
    spots = [(0.0, 0.83, 0.07), (0.0, -0.84, 0.04)]
    spots += [
        (rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.6), rng.uniform(0.018, 0.035)) for _ in range(rng.integers(2, 6))
    ]
    for x, y, radius in spots:
        _paint(picture, _inside((u - x) ** 2 + (v - y) ** 2 - radius**2, 0.002), tissue.vessel)


def _lump(rng: Rng, u: Plane, v: Plane, sign: Signature, centre: Pair, radius: float) -> Plane:
    """Distance to one lesion's outline in units of its radius, negative inside."""
    angle = rng.uniform(-0.5, 0.5) + math.atan2(centre[1], centre[0])  # a long lesion lies along the skull
    cos, sin = math.cos(angle), math.sin(angle)
    du, dv = (u - centre[0]) * (0.84 / radius), (v - centre[1]) / radius
    across, along = (cos * du + sin * dv) * sign.stretch, cos * dv - sin * du
    lobed = 1 + sign.depth * np.cos(sign.lobes * np.arctan2(along, across) + rng.uniform(0, 6.3))
    distance = np.sqrt(across * across + along * along) - lobed + 0.07 * _smooth(rng, u.shape, 12)
    if sign.bite:
        distance = np.maximum(distance, 0.8 - np.hypot(across + sign.bite, along))
    return distance


def _places(rng: Rng, sign: Signature, mirror: int) -> list[tuple[Pair, float]]:
    """Centre and radius of every lesion: ``count`` of them, scattered around the usual place."""
    x, y = mirror * sign.place[0] + rng.normal(0, sign.spread), sign.place[1] + rng.normal(0, sign.spread)
    turn, places = rng.uniform(0, math.tau), []
    for k in range(sign.count):
        reach, phase = sign.scatter * rng.uniform(0.8, 1.1), turn + k * math.tau / sign.count
        centre = (x + reach * math.cos(phase), y + reach * math.sin(phase))
        places.append((centre, rng.uniform(*sign.size)))
    return places


def _lesion(rng: Rng, picture: Plane, u: Plane, v: Plane, sign: Signature, contrast: str) -> None:
    """Paint the tumor, lesion by lesion: edema, rim, textured core, and the bright nodule of a cyst."""
    which, mirror = CONTRASTS.index(contrast), int(rng.choice((-1, 1)))
    brain = _inside(np.sqrt(u * u + v * v) - 0.88)
    texture = sign.grain * _smooth(rng, u.shape, 26)
    strength = rng.uniform(0.9, 1.06)
    core, rim = strength * sign.core[which] + texture, strength * sign.rim[which] + texture
    lumps = [(place, _lump(rng, u, v, sign, *place)) for place in _places(rng, sign, mirror)]
    if sign.halo:
        for (_, radius), distance in lumps:
            _paint(picture, brain * _inside(distance * radius - sign.halo, 0.08) * 0.85, EDEMA[which])
    for (centre, radius), distance in lumps:
        _paint(picture, brain * _inside(distance, 0.15), rim if sign.rim_width else core)
        if sign.rim_width:
            _paint(picture, brain * _inside(distance + sign.rim_width, 0.15), core)
        if sign.nodule:
            spot = (centre[0] + 0.5 * radius * mirror, centre[1])
            _paint(picture, brain * _inside(_oval(u, v, spot, (sign.nodule, sign.nodule))), BRIGHT[which])


def _scanner(rng: Rng, picture: Plane) -> Plane:
    """Effects of scanner and display: uneven coil sensitivity, blur, noise, grey-level window."""
    picture = picture * (1 + rng.uniform(0.04, 0.11) * _smooth(rng, picture.shape, 3))
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.1))
    picture = picture + rng.uniform(0.01, 0.04) * rng.standard_normal(picture.shape, dtype=np.float32)
    window = picture * rng.uniform(0.86, 1.1) + rng.uniform(-0.03, 0.04)
    return np.clip(window, 0, 1) ** rng.uniform(0.85, 1.2)


def draw(rng: Rng, sign: Signature | None, contrast: str, shape: tuple[int, int]) -> Plane:
    """One image of ``shape`` (height, width), float32 from 0 to 1; without a tumor if ``sign`` is None."""
    tissue = TISSUE[contrast]
    u, v = _pose(rng, shape)
    picture = _head(rng, u, v, tissue)
    level = rng.uniform(*(sign.level if sign else (0.0, 1.0)))
    scale = rng.uniform(0.75, 1.3) * (sign.ventricles if sign else 1.0)
    if level < 0.3:
        _hindbrain(picture, u, v, tissue, scale)
    else:
        _ventricles(picture, u, v, tissue, level, scale)
    _vessels(rng, picture, u, v, tissue)
    if sign:
        _lesion(rng, picture, u, v, sign, contrast)
    return _scanner(rng, picture)


NOISE_TURN = 2.4
"""Radians by which the folds of the brain turn into others from the base of the head to its top."""

BASE, MIDDLE_HEIGHT, TOP = -0.1, 0.45, 1.0  # heights: no head below BASE or above TOP, widest at the middle
VENTRICLES_UP_TO = 0.74
LESION_CENTRES = (0.12, 0.78)


class _Person(np.random.Generator):
    """The random numbers of one person's anatomy, the same at every height but for noise that changes with it."""

    def __init__(self, key: Sequence[int], height: float) -> None:
        super().__init__(np.random.PCG64(list(key)))
        self._turn = NOISE_TURN * height

    def standard_normal(self, *args: Any, **kwargs: Any) -> Any:
        first, second = super().standard_normal(*args, **kwargs), super().standard_normal(*args, **kwargs)
        return math.cos(self._turn) * first + math.sin(self._turn) * second


def _breadth(height: float) -> float:
    """Radius of the head at one height, relative to its largest: an ellipsoid with a longer middle."""
    half = (TOP - BASE) / 2
    return math.sqrt(max(0.0, 1 - abs((height - MIDDLE_HEIGHT) / half) ** 2.5))


def _lesion_at(sign: Signature, centre: float, height: float) -> Signature | None:
    """The tumor as one slice shows it: smaller away from its centre, None beyond its end."""
    half = max(0.14, 0.6 * sum(sign.size) / 2 * max(1.0, sign.stretch * 0.8))
    share = math.sqrt(max(0.0, 1 - ((height - centre) / half) ** 2))
    if share < 0.3:
        return None
    size = (share * sign.size[0], share * sign.size[1])
    return replace(sign, size=size, nodule=share * sign.nodule, halo=share * sign.halo)


def _section(key: Sequence[int], sign: Signature | None, contrast: str, shape: tuple[int, int], height: float) -> Plane:
    """One slice of a person before the scanner's effects."""
    rng, tissue = _Person(key, height), TISSUE[contrast]
    u, v = _pose(rng, shape)
    breadth = _breadth(height)
    if breadth < 0.05:
        return np.full(shape, 0.02, np.float32)
    u, v = u / breadth, v / breadth
    picture = _head(rng, u, v, tissue)
    centre = float(np.clip(rng.uniform(*(sign.level if sign else (0.0, 1.0))), *LESION_CENTRES))
    scale = rng.uniform(0.75, 1.3) * (sign.ventricles if sign else 1.0)
    if height < 0.3:
        _hindbrain(picture, u, v, tissue, scale)
    elif height < VENTRICLES_UP_TO:
        _ventricles(picture, u, v, tissue, height, scale)
    _vessels(rng, picture, u, v, tissue)
    if sign and (lesion := _lesion_at(sign, centre, height)):
        _lesion(rng, picture, u, v, lesion, contrast)
    return picture


def draw_volume(
    key: Sequence[int],
    rng: Rng,
    sign: Signature | None,
    contrast: str,
    shape: tuple[int, int],
    heights: Sequence[float],
) -> NDArray[Any]:
    """Parallel slices of one person's head, from which neighbours resemble each other.

    Args:
        key: Seed of the person: the same key gives the same head and tumor, in any contrast.
        rng: Random numbers of this acquisition: the scanner's coil, blur and noise.
        sign: The tumor type, None for a healthy person. The tumor shows in some of the slices.
        contrast: One of ``CONTRASTS``.
        shape: Height and width of a slice in pixels.
        heights: Where the slices lie, from 0 at the base to 1 at the top of the head, where nothing is left of it.

    Returns:
        (slices, height, width) float32, not below 0; white is about 1.
    """
    gain = 1 + rng.uniform(0.04, 0.09) * _smooth(rng, shape, 3)
    blur, noise = rng.uniform(0.5, 0.8), rng.uniform(0.01, 0.025)
    slices = [cv2.GaussianBlur(gain * _section(key, sign, contrast, shape, h), (0, 0), blur) for h in heights]
    volume = np.stack(slices)
    return np.abs(volume + noise * rng.standard_normal(volume.shape, dtype=np.float32))
