"""The verdict over an inventory: a Great Expectations suite built from the profile."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mri_model.data.inventory import Inventory
from mri_model.data.labels import is_hidden
from mri_model.data.profile import AUTO, Profile
from mri_model.errors import RefusedError

if TYPE_CHECKING:
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations import Expectation


@dataclass(frozen=True)
class Rule:
    """One expectation, in words, over one of four tables. None of them holds what is hidden.

    ``images``: what is an image by its content; ``readable``: those of them that could be decoded; ``files``: what
    ingestion would accept; ``classes``: how many of the accepted each class has.
    """

    words: str
    table: str
    expectation: "Expectation"


def validate(inventory: Inventory) -> dict[str, Any]:
    """Hold an inventory to its profile.

    Returns ``{"success", "profile", "rules": [{"rule", "success", "offenders": [path or class, …]}, …]}``,
    JSON-serialisable; offenders are complete, never a sample.
    """
    rules = list(build_rules(inventory.profile))
    outcomes = apply_rules(rules, tabulate(inventory))
    verdicts = [{"rule": rule.words, **outcome} for rule, outcome in zip(rules, outcomes, strict=True)]
    return {
        "success": all(verdict["success"] for verdict in verdicts),
        "profile": inventory.profile.name,
        "n_files": len(inventory.frame),
        "n_rejected": int((inventory.frame["status"] == "rejected").sum()),
        "rules": verdicts,
    }


def tabulate(inventory: Inventory) -> dict[str, pd.DataFrame]:
    """The tables that rules speak of, with the columns they need; ``name`` is what an offender is called."""
    frame = inventory.frame[~inventory.frame["path"].map(is_hidden).astype(bool)]
    frame = frame.assign(name=frame["path"], extension=frame["extension"].str.lower())
    files = frame[frame["status"] == "ok"]
    sizes = files[["height", "width", "channels"]].astype(int)
    return {
        "images": frame.loc[frame["format"].notna(), ["name", "extension"]],
        "readable": frame.loc[frame["height"].notna(), ["name", "label"]],
        "files": files[["name", "path", "contrast"]].join(sizes),
        "classes": class_counts(files["label"], inventory.profile),
    }


def class_counts(labels: pd.Series, profile: Profile) -> pd.DataFrame:
    """One row a class of the profile: ``name``, ``n`` images found, ``expected``, and whether it is ``missing``."""
    found = labels.value_counts()
    rows = [(name, int(found.get(name, 0)), expected) for name, expected in profile.classes.items()]
    table = pd.DataFrame(rows, columns=["name", "n", "expected"])
    return table.assign(missing=(table["n"] == 0) & (table["expected"] > 0))


def build_rules(profile: Profile) -> Iterator[Rule]:
    """The rules of a profile. One that was learnt in the same run has nothing to say about what lies outside it."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read once, when it is imported
    import great_expectations.expectations as gxe

    between, in_set = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToBeInSet
    (low, high), (narrow, wide) = profile.height, profile.width
    extensions, contrasts = list(profile.extensions), list(profile.contrasts)
    yield Rule("every path is unique", "files", gxe.ExpectColumnValuesToBeUnique(column="path"))
    yield Rule(
        f"every image decodes to {profile.channels} channels",
        "files",
        in_set(column="channels", value_set=[profile.channels]),
    )
    if profile.name != AUTO:
        yield Rule(
            f"every image's extension is one of {' '.join(extensions)}",
            "images",
            in_set(column="extension", value_set=extensions),
        )
        yield Rule(
            "every readable image lies in a class folder of the profile",
            "readable",
            gxe.ExpectColumnValuesToNotBeNull(column="label"),
        )
    yield Rule(f"height is {low} to {high} pixels", "files", between(column="height", min_value=low, max_value=high))
    yield Rule(
        f"width is {narrow} to {wide} pixels", "files", between(column="width", min_value=narrow, max_value=wide)
    )
    if contrasts:
        yield Rule(
            f"every contrast is one of {' '.join(contrasts)}",
            "files",
            in_set(column="contrast", value_set=contrasts),
        )
    yield Rule("every class of the profile has an image", "classes", in_set(column="missing", value_set=[False]))
    if profile.counts == "exact":
        equal = gxe.ExpectColumnPairValuesToBeEqual(column_A="n", column_B="expected")
        yield Rule("every class has exactly the published number of images", "classes", equal)
    else:
        enough = gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="n", column_B="expected", or_equal=True)
        yield Rule("every class has at least the stated number of images", "classes", enough)


def apply_rules(rules: list[Rule], tables: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """Success and the offenders' names for each rule, in order."""
    tables = {name: table.reset_index(drop=True) for name, table in tables.items()}
    batches = open_batches(tables)
    for rule in rules:
        # Row numbers, not names: Great Expectations would build a dictionary for each of 100 000 offenders.
        outcome = batches[rule.table].validate(rule.expectation, result_format="COMPLETE")
        if "unexpected_index_list" not in outcome.result:
            raise RuntimeError(f"rule {rule.words!r} could not be validated: {outcome.exception_info}")
        names = tables[rule.table]["name"].iloc[outcome.result["unexpected_index_list"]]
        yield {"success": bool(outcome.success), "offenders": sorted(set(names))}


def open_batches(tables: dict[str, pd.DataFrame]) -> dict[str, "Batch"]:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.ERROR)  # it announces its temporary folders
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("inventory")
    batches = {}
    for name, table in tables.items():
        definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        batches[name] = definition.get_batch(batch_parameters={"dataframe": table})
    return batches


def enforce(inventory: Inventory, on_invalid: str = "fail") -> Inventory:
    """Pass a validated inventory on. Where a rule is broken raise RefusedError naming rules and offenders, or, with
    ``quarantine``, go on with the offending files rejected."""
    broken = [rule for rule in (inventory.validation or {}).get("rules", []) if not rule["success"]]
    if broken and on_invalid != "quarantine":
        raise RefusedError(
            "validation refused the data: " + "; ".join(summarise(rule) for rule in broken),
            "mend the files, choose another --profile, or go on without the offenders: --on-invalid quarantine",
        )
    frame = inventory.frame.copy()
    for rule in broken:
        offends = frame["path"].isin(rule["offenders"]) & (frame["status"] == "ok")
        frame.loc[offends, "reason"] = f"breaks the rule: {rule['rule']}"
        frame.loc[offends, "status"] = "rejected"
    if not (frame["status"] == "ok").any():
        raise RefusedError(
            "every image breaks a rule of the profile: " + "; ".join(map(summarise, broken)), "choose another --profile"
        )
    return replace(inventory, frame=frame)


def summarise(rule: dict[str, Any], most: int = 3) -> str:
    """A broken rule in part of a line: its words and its first offenders."""
    offenders = rule["offenders"]
    more = f" and {len(offenders) - most} more" if len(offenders) > most else ""
    return f"{rule['rule']} (not so: {', '.join(map(short, offenders[:most]))}{more})"


def short(name: str, most: int = 60) -> str:
    """A path or class that fits in a line, whatever its characters; of a long one the middle is left out."""
    shown = name if name.isprintable() else repr(name)
    return shown if len(shown) <= most else f"{shown[: most // 2]}…{shown[-most // 2 + 1 :]}"
