"""One list of options: the recipe's fields, the command line and the Prefect parameters agree."""

import inspect
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mri_model.cli.main import app
from mri_model.errors import UsageError
from mri_model.options import HELP, MAX_CLASS_LEVEL, RECIPE_HELP, Option, RecipeName
from mri_model.training.recipe import OPTIONS, Recipe, make_recipe, parse_changes


def value_of(option: Option) -> st.SearchStrategy[object]:
    """Values that the option accepts."""
    if option.choices:
        return st.sampled_from(option.choices)
    if option.type is bool:
        return st.booleans()
    if option.type is str:
        return st.sampled_from(["imagenet", "none"])
    if option.type is int:
        return st.integers(int(option.ge or 0), int(option.le or 100)).filter(lambda value: value != 1)
    return st.floats(
        option.ge if option.ge is not None else option.gt,
        option.le if option.le is not None else option.lt,
        exclude_min=option.gt is not None,
        exclude_max=option.lt is not None,
    )


@given(data=st.data(), name=st.sampled_from(sorted(OPTIONS)))
def test_every_field_can_be_set_by_a_text_to_any_value_within_its_bounds(data: st.DataObject, name: str) -> None:
    value = data.draw(value_of(OPTIONS[name]))
    text = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
    assert parse_changes([f"{name.replace('_', '-')} = {text}"]) == {name: value}
    assert getattr(make_recipe("modern", **{name: value}), name) == value


@given(
    name=st.sampled_from(sorted(OPTIONS)), text=st.text(max_size=30) | st.sampled_from(["nan", "inf", "-1", "1e300"])
)
def test_any_text_is_a_value_within_bounds_or_refused_in_one_line(name: str, text: str) -> None:
    try:
        (value,) = parse_changes([f"{name}={text}"]).values()
    except UsageError as error:
        assert len(str(error).splitlines()) == len(error.hint.splitlines()) == 1
    else:
        assert OPTIONS[name].accepts(value)


@pytest.mark.parametrize("wrong", ["", "epochs", "speed=3", "epochs=", "epochs=1.5", "hflip=yes", "momentum=1"])
def test_a_setting_that_cannot_be_says_what_can(wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_changes([wrong])
    assert caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": 2**32},
        {"batch_size": 10**20},
        {"learning_rate": 1e300},
        {"learning_rate": float("nan")},
        {"learning_rate": True},
        {"epochs": 2.0},
        {"weight_decay": -1},
        {"optimizer": "adam"},
    ],
)
def test_a_value_out_of_bounds_is_refused_wherever_a_recipe_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Recipe(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        "ingest . --seed 9223372036854775808",
        "ingest . --class-level 21",
        "ingest . --class-level -21",
        "ingest . --map glioma",
        "profile . --map =glioma",
        "train --seed 18446744073709551616",
        "train --batch-size 100000000000000000000",
        "train --learning-rate 1e300",
        "train --learning-rate 0",
        "train --set aux_loss_weight=-1",
        "train --set speed=1",
        "train --seeds 0",
        "train --folds 2",
        "train --folds 101",
        "sample x --per-class 0",
        "reproduce . --sizes 100,9",
        "reproduce . --set image_size=96",
        "reproduce . --set seed=7",
        "train --epochs 3 --set epochs=5",
        "query models --json --csv",
    ],
)
def test_numbers_out_of_range_are_wrong_usage_on_the_command_line(arguments: str) -> None:
    done = CliRunner().invoke(app, arguments.split())
    code = getattr(done.exception, "exit_code", done.exit_code)
    assert code == 2, done.output


def test_help_shows_the_options_that_people_use_and_recipe_lists_the_rest() -> None:
    shown = set(re.findall(r"--[a-z-]+", CliRunner().invoke(app, ["train", "--help"]).output))
    assert {"--epochs", "--weights", "--set"} <= shown
    assert len(shown) <= 16
    listed = CliRunner().invoke(app, ["recipe", "modern"]).output
    assert all(re.search(rf"^{name} ", listed, re.MULTILINE) for name in OPTIONS)


@pytest.mark.parametrize("name", get_args(RecipeName))
def test_every_recipe_says_what_it_is_good_for(name: str) -> None:
    good_for = RECIPE_HELP[name]  # type: ignore[index]
    assert CliRunner().invoke(app, ["recipe", name]).output.startswith(f"{name}: {good_for}\n")
    assert good_for in HELP["recipe"]
    assert make_recipe(name).name == name


def test_prefect_shows_every_recipe_field_with_its_bounds_and_help() -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.train import train_mri

    properties = parameter_schema(train_mri.fn).properties
    for name, option in OPTIONS.items():
        shown = properties[name]
        assert option.help in shown["description"]
        number = shown["anyOf"][0] if "anyOf" in shown else shown
        if option.choices:
            assert number["enum"] == list(option.choices)
        if option.ge is not None:
            assert number["minimum"] == option.ge
        if option.gt is not None:
            assert number["exclusiveMinimum"] == option.gt
    assert {"manifest", "recipe", "seeds", "folds", "device"} < set(properties)


def test_the_ingest_flow_and_command_share_the_options_of_class_names() -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.ingest import ingest_mri

    properties = parameter_schema(ingest_mri.fn).properties
    level, renamed = properties["class_level"], properties["class_map"]
    assert (level["minimum"], level["maximum"]) == (-MAX_CLASS_LEVEL, MAX_CLASS_LEVEL)
    assert HELP["class_level"] in level["description"]
    assert HELP["class_map"] in renamed["description"]
    for command in ("ingest", "profile"):
        shown = set(re.findall(r"--[a-z-]+", CliRunner().invoke(app, [command, "--help"]).output))
        assert {"--class-level", "--map"} <= shown


def test_the_reproduce_flow_and_command_take_the_same_recipe_fields() -> None:
    from flows.reproduce import reproduce_report

    parameters = set(inspect.signature(reproduce_report.fn).parameters)
    assert {name for name in OPTIONS if name != "image_size"} <= parameters


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.type in (int, float)])
@pytest.mark.parametrize("text", ["nan", "inf", "1e300", "-1", "", "many"])
def test_no_number_field_takes_what_is_no_finite_number_within_bounds(name: str, text: str) -> None:
    with pytest.raises(UsageError):
        parse_changes([f"{name}={text}"])
