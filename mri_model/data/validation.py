"""The verdict over an inventory: a Great Expectations suite built from the profile."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mri_model.data.inventory import Inventory
from mri_model.errors import RefusedError
from mri_model.profile import Profile

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation


@dataclass(frozen=True)
class Rule:
    """One expectation, in words, over one of three tables.

    ``images``: what is an image by its content; ``files``: what ingestion would accept; ``classes``: how many of those
    each class has.
    """

    words: str
    table: str
    expectation: "Expectation"


def validate(inventory: Inventory) -> dict[str, Any]:
    """Hold an inventory to its profile.

    Returns ``{"success", "profile", "rules": [{"rule", "success", "offenders": [path or class, …]}, …]}``,
    JSON-serialisable; offenders are complete, never a sample.
    """
    tables = {"images": images(inventory), "files": accepted(inventory), "classes": class_counts(inventory)}
    rules = list(build_rules(inventory.profile))
    verdicts = [{"rule": rule.words, **outcome} for rule, outcome in zip(rules, judge(rules, tables), strict=True)]
    return {
        "success": all(verdict["success"] for verdict in verdicts),
        "profile": inventory.profile.name,
        "n_files": len(inventory.frame),
        "n_rejected": int((inventory.frame["status"] == "rejected").sum()),
        "rules": verdicts,
    }


def images(inventory: Inventory) -> pd.DataFrame:
    found = inventory.frame[inventory.frame["format"].notna()]
    return found.assign(name=found["path"], extension=found["extension"].str.lower())


def accepted(inventory: Inventory) -> pd.DataFrame:
    files = inventory.frame[inventory.frame["status"] == "ok"]
    sizes = files[["height", "width", "channels"]].astype(int)
    return files.assign(name=files["path"], **sizes)


def class_counts(inventory: Inventory) -> pd.DataFrame:
    wanted = pd.Series(inventory.profile.classes, name="expected")
    found = accepted(inventory)["label"].value_counts().reindex(wanted.index, fill_value=0)
    return pd.DataFrame({"name": wanted.index, "n": found.to_numpy(), "expected": wanted.to_numpy()})


def build_rules(profile: Profile) -> Iterator[Rule]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read once, when it is imported
    import great_expectations.expectations as gxe

    between = gxe.ExpectColumnValuesToBeBetween
    (low, high), (narrow, wide) = profile.height, profile.width
    yield Rule("every path is unique", "files", gxe.ExpectColumnValuesToBeUnique(column="path"))
    yield Rule(
        f"every image decodes to {profile.channels} channels",
        "files",
        gxe.ExpectColumnValuesToBeInSet(column="channels", value_set=[profile.channels]),
    )
    if profile.name != "auto":
        yield Rule(
            f"every image's extension is one of {' '.join(profile.extensions)}",
            "images",
            gxe.ExpectColumnValuesToBeInSet(column="extension", value_set=list(profile.extensions)),
        )
    yield Rule(f"height is {low} to {high} pixels", "files", between(column="height", min_value=low, max_value=high))
    yield Rule(
        f"width is {narrow} to {wide} pixels",
        "files",
        between(column="width", min_value=narrow, max_value=wide),
    )
    if profile.contrasts:
        yield Rule(
            f"every contrast is one of {' '.join(profile.contrasts)}",
            "files",
            gxe.ExpectColumnValuesToBeInSet(column="contrast", value_set=list(profile.contrasts)),
        )
    if profile.counts == "exact":
        equal = gxe.ExpectColumnPairValuesToBeEqual(column_A="n", column_B="expected")
        yield Rule("every class has exactly the published number of images", "classes", equal)
    else:
        enough = gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="n", column_B="expected", or_equal=True)
        yield Rule("every class has at least the stated number of images", "classes", enough)


def judge(rules: list[Rule], tables: dict[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """Success and the offenders' names for each rule, in order."""
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
    complete = {"result_format": "COMPLETE", "unexpected_index_column_names": ["name"]}
    for rule in rules:
        outcome = batches[rule.table].validate(rule.expectation, result_format=complete)
        unexpected = outcome.result.get("unexpected_index_list") or []
        yield {
            "success": bool(outcome.success),
            "offenders": sorted({str(entry["name"]) for entry in unexpected}),
        }


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


def summarise(rule: dict[str, Any]) -> str:
    offenders = rule["offenders"]
    more = f" and {len(offenders) - 3} more" if len(offenders) > 3 else ""
    return f"{rule['rule']} ({', '.join(offenders[:3])}{more})"
