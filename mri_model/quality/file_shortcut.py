"""Check: how well size and format of the files give the class, without looking at the images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from mri_model.data.splits import PROTOCOLS
from mri_model.quality.check import Check, Issue
from mri_model.quality.dataset import DataSet, TrainTest
from mri_model.quality.measures import MIN_SERIOUS, exceeds
from mri_model.quality.wording import percent

EXCESS = 0.10
"""By how much the accuracy must exceed that of the largest class to be an issue."""

SERIOUS_EXCESS = 0.20
"""The same, to be a serious issue."""


@dataclass(frozen=True)
class ProtocolShortcut:
    """Test accuracy under one protocol.

    Attributes:
        n: Number of test images.
        accuracy: Accuracy of a random forest that sees size and format of the file only.
        largest_class: Accuracy of always choosing the largest class.
    """

    n: int
    accuracy: float
    largest_class: float


@dataclass(frozen=True)
class FileShortcut(Check):
    """What the files give away.

    Attributes:
        protocols: Result per protocol; None if there is no training or no test image.
    """

    protocols: dict[str, ProtocolShortcut | None]

    @classmethod
    def measure(cls, data: DataSet) -> Self:
        return cls({protocol: protocol_shortcut(data, data.train_test(protocol)) for protocol in PROTOCOLS})

    def issues(self) -> Iterator[Issue]:
        """At most one, for the grouped split where it has results: near duplicates do not help there."""
        measured = [(protocol, found) for protocol, found in self.protocols.items() if found]
        for protocol, found in measured[-1:]:
            if exceeds(found.accuracy, found.largest_class, found.n, EXCESS):
                yield shortcut_issue(protocol, found)


def protocol_shortcut(data: DataSet, split: TrainTest | None) -> ProtocolShortcut | None:
    if split is None:
        return None
    predicted = predict_from_file_facts(data.frame, split)
    accuracy = round(float((predicted == split.classes[split.test]).mean()), 6)
    return ProtocolShortcut(int(split.test.sum()), accuracy, split.largest_class_accuracy)


def predict_from_file_facts(frame: pd.DataFrame, split: TrainTest) -> np.ndarray:
    """Class number of each test image, int (test images,), from a small random forest that sees no pixel."""
    chosen = split.train | split.test
    facts = frame.loc[chosen, ["stored_channels", "height", "width", "n_bytes"]].astype(float).fillna(-1)
    for name in ("extension", "format"):
        facts[name] = pd.factorize(frame.loc[chosen, name], sort=True)[0]
    table = facts.to_numpy(np.float32)
    from sklearn.ensemble import RandomForestClassifier  # slow to import

    forest = RandomForestClassifier(30, max_leaf_nodes=512, random_state=0, n_jobs=1)
    forest.fit(table[split.train[chosen]], split.classes[split.train])
    return forest.predict(table[split.test[chosen]])


def shortcut_issue(protocol: str, found: ProtocolShortcut) -> Issue:
    return Issue(
        "serious" if found.n >= MIN_SERIOUS and found.accuracy - found.largest_class >= SERIOUS_EXCESS else "notice",
        "Size and format of the file alone, without looking at the image, give the right class for "
        f"{percent(found.accuracy)} of {found.n} test images of the {protocol} split.",
        f"Always choosing the largest class would give {percent(found.largest_class)}. "
        "A network may learn where an image comes from instead of what it shows.",
        "Collect the images of every class from the same sources, and test on images from another source.",
    )
