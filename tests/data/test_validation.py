from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mri_model.data.inventory import Inventory, RuleResult, take_inventory
from mri_model.data.labels import parse_label
from mri_model.data.profile import Profile
from mri_model.data.validation import enforce, summarize, validate
from mri_model.errors import RefusedError


@pytest.fixture(scope="module")
def inventory(phantom: Path) -> Inventory:
    return take_inventory(phantom)


def broken(inventory: Inventory) -> dict[str, list[str]]:
    return {rule.rule: list(rule.offenders) for rule in validate(inventory).broken}


def changed(inventory: Inventory, row: int, **values: object) -> Inventory:
    frame = inventory.frame.copy()
    for column, value in values.items():
        frame.loc[row, column] = value
    return replace(inventory, frame=frame)


def test_a_good_inventory_passes_every_rule(inventory: Inventory) -> None:
    assert broken(inventory) == {}


@pytest.mark.parametrize(("column", "value"), [("height", 5000), ("width", 2), ("channels", 4)])
def test_an_image_out_of_bounds_is_named(inventory: Inventory, column: str, value: int) -> None:
    strict = replace(inventory, profile=replace(inventory.profile, height=(10, 1000), width=(10, 1000)))
    path = inventory.frame.loc[7, "path"]
    (offenders,) = broken(changed(strict, 7, **{column: value})).values()
    assert offenders == [path]


def test_exact_counts_refuse_one_image_too_few_and_one_too_many(inventory: Inventory) -> None:
    counts = inventory.frame["label"].value_counts().to_dict()
    exact = replace(inventory.profile, counts="exact", classes=counts)
    assert broken(replace(inventory, profile=exact)) == {}
    for difference in (-1, 1):
        off = replace(exact, classes=counts | {"Granuloma T2": counts["Granuloma T2"] + difference})
        assert list(broken(replace(inventory, profile=off)).values()) == [["Granuloma T2"]]


def test_a_class_that_is_missing_is_named_as_missing(inventory: Inventory) -> None:
    more = replace(inventory.profile, classes=inventory.profile.classes | {"Unseen T1": 1})
    assert broken(replace(inventory, profile=more)) == {
        "every class of the profile has an image": ["Unseen T1"],
        "every class has at least the stated number of images": ["Unseen T1"],
    }


def test_a_class_of_which_no_image_is_expected_may_be_missing(inventory: Inventory) -> None:
    more = replace(inventory.profile, classes=inventory.profile.classes | {"Unseen T1": 0})
    assert broken(replace(inventory, profile=more)) == {}


def test_an_image_under_an_unknown_extension_breaks_a_named_profile(inventory: Inventory) -> None:
    named = replace(inventory, profile=replace(inventory.profile, name="mine", extensions=(".jpg", ".jpeg", ".webp")))
    assert broken(named) == {}
    assert list(broken(changed(named, 3, extension=".tif")).values()) == [[inventory.frame.loc[3, "path"]]]


def test_a_broken_rule_refuses_or_quarantines(inventory: Inventory) -> None:
    strict = replace(inventory, profile=replace(inventory.profile, height=(10, 1000)))
    bad = changed(strict, 7, height=5000)
    validated = replace(bad, validation=validate(bad))
    with pytest.raises(RefusedError, match="height is 10 to 1000 pixels") as caught:
        enforce(validated)
    assert caught.value.exit_code == 3
    row = enforce(validated, "quarantine").frame.loc[7]
    assert (row["status"], row["reason"]) == ("rejected", "breaks the rule: height is 10 to 1000 pixels")


def made_up(paths: list[str], name: str = "mine", **fields: Any) -> Inventory:
    """An inventory of accepted images of 200×100 pixels that meet the profile, unless ``fields`` say otherwise."""
    labels = [path.split("/")[-2] if "/" in path else None for path in paths]
    contrasts = [parse_label(label).contrast if label else None for label in labels]
    counts = pd.Series(labels, dtype=object).value_counts().to_dict()
    facts = {"extension": ".jpg", "format": "JPEG", "height": 200, "width": 100, "channels": 3}
    columns = {"path": paths, "label": labels, "contrast": contrasts, "status": "ok", "reason": None}
    frame = pd.DataFrame({**columns, **facts})
    frame.loc[frame["label"].isna(), "status"] = "rejected"
    profile = Profile(name, "minimum", counts, (".jpg",), 3, tuple({*contrasts} - {None}), (200, 200), (100, 100))
    return Inventory(Path(), replace(profile, **fields), frame, np.zeros((0, 64, 64), np.uint8))


@pytest.mark.parametrize("name", ["auto", "mine"])
def test_one_plain_image_is_enough(name: str) -> None:
    assert broken(made_up(["glioma/a.jpg"], name)) == {}


def test_without_an_accepted_image_every_class_is_missing() -> None:
    nothing = made_up(["glioma/a.jpg", "cyst/b.jpg"])
    nothing.frame[["status", "reason", "format"]] = ["rejected", "empty file", None]
    nothing.frame[["height", "width", "channels"]] = None
    assert broken(nothing)["every class of the profile has an image"] == ["cyst", "glioma"]


def test_an_image_in_no_class_breaks_a_named_profile_only_and_stays_rejected() -> None:
    paths = ["glioma/a.jpg", "holiday.jpg"]
    assert broken(made_up(paths, "auto")) == {}
    strays = made_up(paths)
    assert broken(strays) == {"every readable image lies in a class folder of the profile": ["holiday.jpg"]}
    strays.frame.loc[1, "reason"] = "not in a class folder"
    kept = enforce(replace(strays, validation=validate(strays)), "quarantine").frame
    assert kept["reason"].tolist() == [None, "not in a class folder"]


@pytest.mark.parametrize("path", [".trash/a.jpg", "__MACOSX/glioma/a.jpg", "glioma/._a.jpg"])
def test_what_is_hidden_breaks_no_rule(path: str) -> None:
    hidden = made_up(["glioma/a.jpg", path])
    hidden.frame.loc[1, ["label", "extension", "status"]] = [None, ".x", "rejected"]
    hidden = replace(hidden, profile=replace(hidden.profile, classes={"glioma": 1}))
    assert broken(hidden) == {}


@pytest.mark.parametrize("label", ["a'b", 'c"d', "e`f; DROP TABLE", "${x}", "%s {y}", "line\nbreak", "é語"])
def test_classes_with_any_characters_are_validated_and_named(label: str) -> None:
    fine = made_up([f"{label}/1.jpg", f"{label}/2.jpg"])
    assert broken(fine) == {}
    more = replace(fine, profile=replace(fine.profile, classes={label: 3}))
    assert list(broken(more).values()) == [[label]]
    assert "\n" not in summarize(RuleResult("r", False, (label,)))


def test_offenders_are_complete_and_paths_that_occur_twice_are_named() -> None:
    many = made_up([f"glioma/{index:05}.jpg" for index in range(5000)] * 2, height=(1, 2))
    result = broken(many)
    assert result["every path is unique"] == result["height is 1 to 2 pixels"] == sorted(set(many.frame["path"]))


def test_many_broken_rules_are_still_a_line_one_can_read() -> None:
    labels = [f"Tumor {number} T1" for number in range(44)]
    bad = made_up([f"{label}/{'long' * 50}.jpg" for label in labels], height=(1, 2), classes=dict.fromkeys(labels, 9))
    with pytest.raises(RefusedError) as caught:
        enforce(replace(bad, validation=validate(bad)))
    message = str(caught.value)
    assert "height is 1 to 2 pixels (broken by: Tumor 0 T1/longlong" in message
    assert "(broken by: Tumor 0 T1, Tumor 1 T1, Tumor 10 T1 and 41 more)" in message
    assert len(message) < 500
