"""Validate an inventory against its profile with Great Expectations."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from mri_model.data.formats import FORMATS
from mri_model.data.inventory import Inventory, RuleResult, Validation
from mri_model.data.labels import is_hidden
from mri_model.data.profile import AUTO, Profile
from mri_model.errors import RefusedError

if TYPE_CHECKING:
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations import Expectation


EVERY_CLASS = "every class of the profile has an image"


@dataclass(frozen=True)
class Rule:
    """One expectation over one of the tables of ``tabulate``.

    Attributes:
        words: The rule as a sentence.
        table: ``images``, ``readable``, ``files`` or ``classes``.
        expectation: The expectation of Great Expectations.
    """

    words: str
    table: str
    expectation: "Expectation"


def validate(inventory: Inventory) -> Validation:
    """Check an inventory against its profile."""
    rules = list(build_rules(inventory.profile))
    results = tuple(apply_rules(rules, tabulate(inventory)))
    return Validation(
        success=all(result.success for result in results),
        profile=inventory.profile.name,
        n_files=len(inventory.frame),
        n_rejected=int((inventory.frame["status"] == "rejected").sum()),
        rules=results,
    )


def tabulate(inventory: Inventory) -> dict[str, pd.DataFrame]:
    """The tables that the rules check. Hidden and ignored files are in none of them.

    Returns:
        ``images``: files that are plain images by their content. ``readable``: images that could be decoded. ``files``:
        accepted images. ``classes``: see ``class_counts``. Column ``name`` is the path or class that is reported.
    """
    paths = inventory.frame["path"]
    frame = inventory.frame[~paths.map(is_hidden).astype(bool) & ~paths.isin(inventory.profile.ignored)]
    frame = frame.assign(name=frame["path"], extension=frame["extension"].str.lower())
    files = frame[frame["status"] == "ok"]
    sizes = files[["height", "width", "channels"]].astype(int)
    return {
        "images": frame.loc[frame["format"].isin(FORMATS), ["name", "extension"]],
        "readable": frame.loc[frame["height"].notna(), ["name", "label"]],
        "files": files[["name", "path", "contrast"]].join(sizes),
        "classes": class_counts(files["label"], inventory.profile),
    }


def class_counts(labels: pd.Series, profile: Profile) -> pd.DataFrame:
    """One row per class of the profile: ``name``, ``n`` (accepted images), ``expected`` and ``missing`` (bool)."""
    found = labels.value_counts()
    rows = [(name, int(found.get(name, 0)), expected) for name, expected in profile.classes.items()]
    table = pd.DataFrame(rows, columns=["name", "n", "expected"])
    return table.assign(missing=(table["n"] == 0) & (table["expected"] > 0))


def build_rules(profile: Profile) -> Iterator[Rule]:
    """The rules of a profile.

    A profile that was learnt in the same run has no rule about extensions and class folders: it was made from those of
    the folder.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # Great Expectations reads it when it is imported
    import great_expectations.expectations as gxe

    in_set = gxe.ExpectColumnValuesToBeInSet
    extensions, contrasts, channels = list(profile.extensions), list(profile.contrasts), [profile.channels]
    words = f"every image decodes to {profile.channels} channels"
    yield Rule("every path is unique", "files", gxe.ExpectColumnValuesToBeUnique(column="path"))
    yield Rule(words, "files", in_set(column="channels", value_set=channels))
    if profile.name != AUTO:
        words = f"every image's extension is one of {' '.join(extensions)}"
        yield Rule(words, "images", in_set(column="extension", value_set=extensions))
        words = "every readable image lies in a class folder of the profile"
        yield Rule(words, "readable", gxe.ExpectColumnValuesToNotBeNull(column="label"))
    for dimension, (low, high) in (("height", profile.height), ("width", profile.width)):
        between = gxe.ExpectColumnValuesToBeBetween(column=dimension, min_value=low, max_value=high)
        yield Rule(f"{dimension} is {low} to {high} pixels", "files", between)
    if contrasts:
        words = f"every contrast is one of {' '.join(contrasts)}"
        yield Rule(words, "files", in_set(column="contrast", value_set=contrasts))
    yield Rule(EVERY_CLASS, "classes", in_set(column="missing", value_set=[False]))
    yield count_rule(profile)


def count_rule(profile: Profile) -> Rule:
    """The rule about the number of images in each class."""
    import great_expectations.expectations as gxe

    if profile.counts == "exact":
        equal = gxe.ExpectColumnPairValuesToBeEqual(column_A="n", column_B="expected")
        return Rule("every class has exactly the published number of images", "classes", equal)
    enough = gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="n", column_B="expected", or_equal=True)
    return Rule("every class has at least the stated number of images", "classes", enough)


def apply_rules(rules: list[Rule], tables: dict[str, pd.DataFrame]) -> Iterator[RuleResult]:
    """The result of each rule, in order.

    Raises:
        RuntimeError: If Great Expectations cannot evaluate a rule.
    """
    tables = {name: table.reset_index(drop=True) for name, table in tables.items()}
    batches = open_batches(tables)
    for rule in rules:
        # Ask for row numbers: with names Great Expectations builds a dictionary for each offender.
        outcome = batches[rule.table].validate(rule.expectation, result_format="COMPLETE")
        if "unexpected_index_list" not in outcome.result:
            raise RuntimeError(f"rule {rule.words!r} could not be validated: {outcome.exception_info}")
        names = tables[rule.table]["name"].iloc[outcome.result["unexpected_index_list"]]
        yield RuleResult(rule.words, bool(outcome.success), tuple(sorted(set(names))))


def open_batches(tables: dict[str, pd.DataFrame]) -> dict[str, "Batch"]:
    """Each table as a batch of an in-memory context of Great Expectations."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.ERROR)  # it logs its temporary folders
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("inventory")
    batches = {}
    for name, table in tables.items():
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        batches[name] = definition.get_batch(batch_parameters={"dataframe": table})
    return batches


def enforce(inventory: Inventory, on_invalid: str = "fail") -> Inventory:
    """Apply the validation result to an inventory.

    Args:
        inventory: A validated inventory.
        on_invalid: ``fail``, or ``quarantine`` to reject the files that break a rule and continue with the others.

    Raises:
        RefusedError: If a rule is broken and ``on_invalid`` is ``fail``, or if no accepted image is left.
    """
    broken = inventory.validation.broken if inventory.validation else []
    if broken and on_invalid != "quarantine":
        raise RefusedError(
            "validation refused the data: "
            + "; ".join([*map(summarize, broken), *why_missing(inventory.frame, broken)]),
            "fix the files, choose another --profile, or continue without these files: --on-invalid quarantine",
        )
    frame = inventory.frame.copy()
    for rule in broken:
        offends = frame["path"].isin(rule.offenders) & (frame["status"] == "ok")
        frame.loc[offends, "reason"] = f"breaks the rule: {rule.rule}"
        frame.loc[offends, "status"] = "rejected"
    if not (frame["status"] == "ok").any():
        raise RefusedError(
            "every image breaks a rule of the profile: " + "; ".join(map(summarize, broken)), "choose another --profile"
        )
    return replace(inventory, frame=frame)


def why_missing(frame: pd.DataFrame, broken: list[RuleResult], most: int = 3) -> Iterator[str]:
    """Why classes without an image have none, as one short text each; not for classes without a file."""
    visible = frame[~frame["path"].map(is_hidden).astype(bool)]
    labels = [name for rule in broken if rule.rule == EVERY_CLASS for name in rule.offenders]
    for label in labels[:most]:
        rows = visible[(visible["label"] == label) | (visible["path"] == label)]  # a class folder may be a link
        if len(rows):
            yield f"{short(label)}: {short(str(rows['reason'].mode()[0]), 100)} (rejected files: {len(rows)})"


def summarize(rule: RuleResult, most: int = 3) -> str:
    """A broken rule as one short text: the rule and its first ``most`` offenders."""
    offenders = rule.offenders
    more = f" and {len(offenders) - most} more" if len(offenders) > most else ""
    return f"{rule.rule} (broken by: {', '.join(map(short, offenders[:most]))}{more})"


def short(name: str, most: int = 60) -> str:
    """A path or class in printable characters; the middle of a name longer than ``most`` is left out."""
    shown = name if name.isprintable() else repr(name)
    return shown if len(shown) <= most else f"{shown[: most // 2]}…{shown[-most // 2 + 1 :]}"
