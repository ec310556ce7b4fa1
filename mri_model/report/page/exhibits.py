"""Pictures of the data for a page that may show them: samples, and the surest mistakes with Grad-CAM overlays."""

import base64
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from mri_model.errors import MriError
from mri_model.report.page.contents import Exhibit, Exhibits, Picture
from mri_model.report.page.image_tables import surest_mistakes

if TYPE_CHECKING:
    from mri_model.data.manifest import Manifest
    from mri_model.models.artifact import Model

MOST_PICTURED = 12
SIDE = 176
"""Longer side of a picture in pixels."""

OPACITY = 0.55
"""Of the overlay where it is strongest."""


def collect_exhibits(model: "Model | None", manifest: "Manifest", images: pd.DataFrame) -> Exhibits:
    """Decode the files that are shown.

    Args:
        model: For the overlays, on the CPU; None for samples alone.
        manifest: The data it was evaluated on.
        images: Rows of ``evaluated_image``.
    """
    missing: list[str] = []
    samples = [found for row in sample_rows(manifest.frame) if (found := sample_exhibit(manifest, row, missing))]
    if model is None:
        return Exhibits(tuple(samples), missing=tuple(missing))
    mistakes = [
        found
        for row in surest_mistakes(images, MOST_PICTURED).to_dict("records")
        if (found := mistake_exhibit(model, manifest, row, missing))
    ]
    return Exhibits(tuple(samples), tuple(mistakes), tuple(missing), overlay_text(model))


def overlay_text(model: "Model") -> str:
    """What the overlays show, and how finely."""
    from mri_model.models.grad_cam import LAYERS, explained_layer

    size = model.preprocessing.size
    layer = explained_layer(size)
    cells, last = (-(-size // LAYERS[name]) for name in (layer, "layer4"))
    text = f"Grad-CAM on the output of {layer}, {cells}×{cells} cells"
    if layer == "layer4":
        return text
    return f"{text}: an earlier layer, because the last one has only {last}×{last} cells at {size} pixels"


def sample_rows(frame: pd.DataFrame) -> list[dict]:
    """The first normal T1 and T2 image, and the first image of a tumor of each contrast.

    Classes without a contrast: the first image of each of the first three classes.
    """
    accepted = frame[frame["status"] == "ok"].sort_values("path")
    normal = accepted["tumor"].str.casefold().eq("normal")
    chosen = [accepted[normal & (accepted["contrast"] == contrast)].head(1) for contrast in ("T1", "T2")]
    chosen += [rows.head(1) for _, rows in accepted[~normal & accepted["contrast"].notna()].groupby("contrast")]
    found = pd.concat(chosen)
    if found.empty:
        found = accepted.groupby("label").head(1).head(3)
    return found.drop_duplicates("path").to_dict("records")


def sample_exhibit(manifest: "Manifest", row: dict, missing: list[str]) -> Exhibit | None:
    pixels = read_or_note(manifest, row["path"], row["sha256"], missing)
    if pixels is None:
        return None
    shown = picture(pixels, f"Image of class {row['label']}")
    size = f"{pixels.shape[1]}×{pixels.shape[0]} pixels"
    return Exhibit(row["label"], (row["path"], size), (shown,))


def mistake_exhibit(model: "Model", manifest: "Manifest", row: dict, missing: list[str]) -> Exhibit | None:
    """What the network saw, and where in it the answer comes from."""
    import torch

    from mri_model.models.grad_cam import grad_cam

    pixels = read_or_note(manifest, row["path"], row["sha256"], missing)
    if pixels is None or row["predicted_label"] not in model.classes:
        return None
    stored = model.preprocessing.shrink(pixels)
    answer = model.classes.index(row["predicted_label"])
    attention = grad_cam(model, torch.from_numpy(stored)[None], [answer])[0]
    seen = np.ascontiguousarray(stored.transpose(1, 2, 0)[:, :, ::-1])
    pictures = (
        picture(seen, f"Image of class {row['true_label']}, as the network sees it"),
        picture(overlay(seen, attention), f"The same with the regions that speak for {row['predicted_label']}"),
    )
    lines: tuple[str, ...] = (f"answered {row['predicted_label']}, probability {row['probability']:.3f}", row["path"])
    if not attention.any():
        lines += ("no region of this layer speaks for the answer",)
    return Exhibit(row["true_label"], lines, pictures)


def read_or_note(manifest: "Manifest", path: str, sha256: str, missing: list[str]) -> np.ndarray | None:
    """The pixels of an ingested file; if it is gone or has changed, None, and a note in ``missing``."""
    from mri_model.data.pixel_store import read_ingested

    rows = manifest.frame[manifest.frame["path"] == path].assign(sha256=sha256)
    try:
        return read_ingested(manifest, rows)[0]
    except (MriError, IndexError):
        missing.append(path)
        return None


def overlay(pixels: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """A heat map over an image: uint8 BGR (h, w, 3) and float (h, w) in 0–1 → uint8 BGR (h, w, 3)."""
    heat = cv2.applyColorMap(np.round(255 * attention).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = OPACITY * attention[:, :, None]
    return np.round(pixels * (1 - opacity) + heat * opacity).astype(np.uint8)


def picture(pixels: np.ndarray, alt: str) -> Picture:
    """A uint8 BGR image (height, width, 3), with ``SIDE`` as its longer side."""
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return Picture(jpeg_uri(resized), alt, *size)


def jpeg_uri(pixels: np.ndarray) -> str:
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
