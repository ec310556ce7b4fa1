"""The fields of a profile's TOML file, checked by pydantic."""

import reprlib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from mri_model.data.medical.choice import Axis
from mri_model.options import MAX_CLASS_LEVEL

MAX_NUMBER = (1 << 31) - 1
NUMBER = f"a whole number from 0 to {MAX_NUMBER}"


def check_ascending(bounds: list[int]) -> list[int]:
    if bounds[0] > bounds[1]:
        raise ValueError
    return bounds


Number = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
Text = Annotated[str, Field(min_length=1)]
Extension = Annotated[str, Field(pattern=r"^\.")]
Bounds = Annotated[list[Number], Field(min_length=2, max_length=2), AfterValidator(check_ascending)]

Level = Annotated[int, Field(ge=-MAX_CLASS_LEVEL, le=MAX_CLASS_LEVEL)]
LEVEL = f"a whole number from -{MAX_CLASS_LEVEL} to {MAX_CLASS_LEVEL}"

BOUNDS = "two numbers of pixels, smallest and largest"


class SliceFields(BaseModel):
    """The table ``slices``, see ``choice.SliceChoice``."""

    model_config = ConfigDict(strict=True, extra="forbid")

    axis: Axis = "axial"
    central: Annotated[float, Field(gt=0, le=1, strict=False)] = 0.6
    most: Annotated[int, Field(ge=1, le=MAX_NUMBER)] = 20


class ProfileFile(BaseModel):
    """A profile as it is written in TOML. The description of a field says what its value must be.

    Types are strict: ``3.0`` and ``true`` are not numbers. Unknown fields are ignored.
    """

    model_config = ConfigDict(strict=True)

    name: Text = Field(description="a text")
    counts: Literal["exact", "minimum"] = Field(description='"exact" or "minimum"')
    classes: dict[str, Number] = Field(min_length=1, description="a table with at least one class")
    extensions: list[Extension] = Field(min_length=1, description='a list like [".jpg", ".png"]')
    channels: int = Field(ge=3, le=3, description="3")
    contrasts: list[Text] = Field(description='a list like ["T1", "T2"], or []')
    height: Bounds = Field(description=BOUNDS)
    width: Bounds = Field(description=BOUNDS)
    source: str = Field(default="", description="a text")
    class_level: Level = Field(default=0, description=LEVEL)
    patient_level: Level = Field(default=0, description=LEVEL)
    slices: SliceFields = Field(
        default=SliceFields(),
        description='a table like axis = "axial", central = 0.6 (above 0, at most 1), most = 20 (at least 1)',
    )
    class_map: dict[Text, Text] = Field(default={}, description='a table like glioma_tumor = "glioma"')
    ignored: list[Text] = Field(default=[], description='a list of paths like ["readme.png"]')


def parse_fields(fields: dict[str, Any]) -> ProfileFile:
    """Check the fields of a TOML file.

    Raises:
        ValueError: A field is missing or wrong; one line that begins with the field's name.
    """
    try:
        return ProfileFile.model_validate(fields)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_context=False)[0]
    raise ValueError(describe_error(first, fields))


def describe_error(error: ErrorDetails, fields: dict[str, Any]) -> str:
    """``height must be two numbers of pixels, smallest and largest, not [630, 347]``."""
    field, *inside = map(str, error["loc"])
    wanted = ProfileFile.model_fields[field].description
    if field not in fields:
        return f"{field} is missing; it must be {wanted}"
    if field == "classes" and inside:
        return f"classes.{reprlib.repr(inside[0])} must be {NUMBER}, not {shorten(fields[field][inside[0]])}"
    return f"{field} must be {wanted}, not {shorten(fields[field])}"


def shorten(value: Any) -> str:
    return reprlib.repr(value)[:80]
