"""Groups of drawn patients: smooth random volumes of which every image is a slice."""

import cv2
import numpy as np
import pandas as pd
import pytest

from mri_model.data.comparison import compare_images
from mri_model.data.fingerprints import Fingerprints
from mri_model.data.hog import HOG_SIZE, hog
from mri_model.data.same_source import sources_of
from mri_model.data.similarity import mean_descriptor
from mri_model.data.thumbnails import cell_sums, integral, means

SLICES, SIZE = 12, 128


def slices(seed: int, n: int = SLICES) -> list[np.ndarray]:
    """Neighbouring slices of one patient's head, uint8 of shape (128, 128): noise that changes slowly across slices."""
    random = np.random.default_rng(seed)
    ends = [cv2.resize(random.normal(size=(10, 10)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) for _ in range(2)]
    angles = np.linspace(0, np.pi / 2, n)
    rows, columns = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    head = (rows**2 + columns**2 * 1.4) < 0.8
    drawn = [128 + 50 * (np.cos(angle) * ends[0] + np.sin(angle) * ends[1]) for angle in angles]
    return [np.where(head, image, 0).clip(0, 255).astype(np.uint8) for image in drawn]


def fingerprints(images: list[np.ndarray]) -> Fingerprints:
    thumbnails = [means(cell_sums(integral(image), 64), image.size) for image in images]
    edges = [hog(means(cell_sums(integral(image), HOG_SIZE), image.size)) for image in images]
    return Fingerprints(np.stack(thumbnails), np.stack(edges))


def inventory(tumors: list[str]) -> pd.DataFrame:
    names = [str(number) for number in range(len(tumors))]
    frame = pd.DataFrame({"label": tumors, "tumor": tumors, "status": "ok", "sha256": names})
    return frame.assign(path=frame["tumor"] + "/" + frame["sha256"], patient=None)


def groups(images: list[np.ndarray], tumors: list[str]) -> list[int]:
    return compare_images(inventory(tumors), fingerprints(images)).frame["group"].tolist()


@pytest.fixture(scope="module")
def patients() -> list[list[np.ndarray]]:
    return [slices(seed) for seed in range(40)]


def flat(patients: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [image for patient in patients for image in patient]


def test_the_slices_of_each_patient_are_one_group(patients: list[list[np.ndarray]]) -> None:
    tumors = [f"tumor {patient % 4}" for patient in range(40) for _ in range(SLICES)]
    found = compare_images(inventory(tumors), fingerprints(flat(patients)))
    assert all(agreement.measured for agreement in found.agreements)
    assert found.frame["group"].tolist() == [patient for patient in range(40) for _ in range(SLICES)]


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_sources_of_images_of_unknown_tumors_are_their_patients(n: int, patients: list[list[np.ndarray]]) -> None:
    others = fingerprints([image for seed in range(100, 110) for image in slices(seed)])
    own = fingerprints(flat(patients[:n]))
    found = sources_of(own.descriptors, mean_descriptor(others.descriptors), 0.8)
    assert found.tolist() == [patient for patient in range(n) for _ in range(SLICES)]


@pytest.mark.parametrize("name", ["mirrored", "upside down", "turned", "turned back", "transposed"])
def test_a_mirrored_or_turned_copy_is_in_the_group_of_its_original(name: str, patients: list[list[np.ndarray]]) -> None:
    change = {
        "mirrored": lambda image: image[:, ::-1],
        "upside down": lambda image: image[::-1],
        "turned": np.rot90,
        "turned back": lambda image: np.rot90(image, -1),
        "transposed": np.transpose,
    }[name]
    originals = [patient[0] for patient in patients]
    copies = [np.ascontiguousarray(change(image)) for image in originals[:20]]
    assert groups(originals + copies, ["A"] * 60) == [*range(40), *range(20)]
    assert groups(copies + originals, ["A"] * 60) == [*range(20), *range(40)]


def test_a_mirrored_and_cropped_copy_is_in_the_group_of_its_original(patients: list[list[np.ndarray]]) -> None:
    originals = [patient[0] for patient in patients]
    copies = [np.ascontiguousarray(image[1:-1, -2:0:-1]) for image in originals[:20]]
    assert groups(originals + copies, ["A"] * 60) == [*range(40), *range(20)]


def test_copies_under_another_tumor_type_are_not_grouped(patients: list[list[np.ndarray]]) -> None:
    originals = [patient[0] for patient in patients]
    assert len(set(groups(originals * 2, ["A"] * 40 + ["B"] * 40))) == 80


def test_blank_images_of_different_grey_are_not_one_source() -> None:
    blank = [np.full((SIZE, SIZE), grey, np.uint8) for grey in range(0, 250, 10)]
    assert len(set(groups(blank + flat([slices(0), slices(1)]), ["A"] * (len(blank) + 2 * SLICES)))) >= len(blank)
