"""What all bodies share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from detector.spec import NAME

DetectorName = Annotated[str, StringConstraints(pattern=NAME)]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Body(BaseModel):
    """A body whose fields are documented in place; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
