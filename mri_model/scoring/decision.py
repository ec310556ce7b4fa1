"""Whether a model answers about an image, and why not."""

import math
from dataclasses import dataclass
from typing import Self

from mri_model.errors import RefusedError
from mri_model.evaluation.abstention import CONFIDENCE, lowest_risk, risk_threshold
from mri_model.models.artifact import Model


@dataclass(frozen=True)
class AnswerRule:
    """When a scoring run gives no answer.

    Attributes:
        distance: Images that are farther from the training images get none; None for a model without a guard.
        risk: The share of wrong answers that the run was started with, in 0-1; None: no answer is too uncertain.
        probability: Answers that are less probable are not given.
    """

    distance: float | None = None
    risk: float | None = None
    probability: float = 0.0

    @classmethod
    def of(cls, model: Model, risk: float | None = None) -> Self:
        """The rule of a model, with the smallest probability that its validation images support for ``risk``.

        Raises:
            RefusedError: If they support none, or the model has no guard and with it no validation answers.
        """
        if model.reference is None or model.metadata.guard is None:
            if risk is not None:
                raise RefusedError(f"{model.id} has no guard: its risk is not known", "train it again, or omit --risk")
            return cls()
        distance = model.metadata.guard.distance
        if risk is None:
            return cls(distance)
        passes = model.reference.distance <= distance
        probability, right = model.reference.probability[passes], model.reference.right[passes]
        threshold = risk_threshold(probability, right, risk)
        if threshold is None:
            lowest = lowest_risk(probability, right)
            raise RefusedError(
                f"{len(right)} validation answers of {model.id} cannot guarantee a risk of {percent(risk)} "
                f"with {percent(CONFIDENCE)} confidence",
                f"use --risk {lowest:.2f} or more, or omit it" if lowest else "omit --risk, or train a better model",
            )
        return cls(distance, risk, threshold)

    def objection(self, probability: float, distance: float | None, of_series: bool = False) -> str | None:
        """Why an image, or a series, gets no answer; None if it gets one.

        Args:
            probability: Of the answer; of a series the mean over its images.
            distance: From the training images; of a series the median over its images.
            of_series: Whether it is about a series. The thresholds are those for single images.
        """
        if not math.isfinite(probability):
            return "the model's answer is not a number"
        if self.distance is not None and distance is not None and not distance <= self.distance:
            measured = "median distance" if of_series else "distance"
            return f"unlike the training images: {measured} {distance:.2f}, threshold {self.distance:.2f}"
        if self.risk is not None and not probability >= self.probability:
            chosen = f"chosen for a risk of {percent(self.risk)}" + (" of single images" if of_series else "")
            return f"{'mean ' if of_series else ''}probability {probability:.3f} below {self.probability:.3f}, {chosen}"
        return None


def percent(share: float) -> str:
    return f"{100 * share:.4g} %"
