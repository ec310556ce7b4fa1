from dataclasses import replace
from pathlib import Path

import pytest

from mri_model.data.inventory import Inventory, take_inventory
from mri_model.data.validation import enforce, validate
from mri_model.errors import RefusedError


@pytest.fixture(scope="module")
def inventory(phantom: Path) -> Inventory:
    return take_inventory(phantom)


def broken(inventory: Inventory) -> dict[str, list[str]]:
    return {rule["rule"]: rule["offenders"] for rule in validate(inventory)["rules"] if not rule["success"]}


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


def test_a_class_that_is_missing_is_named(inventory: Inventory) -> None:
    more = replace(inventory.profile, classes=inventory.profile.classes | {"Unseen T1": 1})
    assert list(broken(replace(inventory, profile=more)).values()) == [["Unseen T1"]]


def test_an_image_under_an_unknown_extension_breaks_a_named_profile(inventory: Inventory) -> None:
    named = replace(inventory, profile=replace(inventory.profile, name="mine", extensions=(".jpg", ".jpeg", ".webp")))
    assert broken(named) == {}
    assert list(broken(changed(named, 3, extension=".tif")).values()) == [[inventory.frame.loc[3, "path"]]]


def test_a_broken_rule_refuses_or_quarantines(inventory: Inventory) -> None:
    strict = replace(inventory, profile=replace(inventory.profile, height=(10, 1000)))
    bad = changed(strict, 7, height=5000)
    judged = replace(bad, validation=validate(bad))
    with pytest.raises(RefusedError, match="height is 10 to 1000 pixels") as caught:
        enforce(judged)
    assert caught.value.exit_code == 3
    row = enforce(judged, "quarantine").frame.loc[7]
    assert (row["status"], row["reason"]) == ("rejected", "breaks the rule: height is 10 to 1000 pixels")
