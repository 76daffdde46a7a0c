"""What all bodies share."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from app.intake.grouping import MAX_GROUP, check_group
from detector.spec import NAME

DetectorName = Annotated[str, StringConstraints(pattern=NAME)]
GroupName = Annotated[str, StringConstraints(max_length=MAX_GROUP), AfterValidator(check_group)]
"""A lot, session or camera; empty for none. Raises InvalidGroupError, which is no ValueError."""


def whole(value: Any) -> Any:
    """Return 15 for 15.0, and all else as it is; bounds belong with the type that it stands before.

    Beyond another validator Pydantic leaves them out of the description.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, Field(strict=True), BeforeValidator(whole)]
"""An integer as JSON Schema has it: 15 and 15.0, not "15"."""

MAX_VERSION = 2**31 - 1
"""Highest number of a version that the database can hold."""

VersionNumber = Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION), BeforeValidator(whole)]

Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Body(BaseModel):
    """A body whose fields are documented in place; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
