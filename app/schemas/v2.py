"""The open inference protocol, V2, as KServe, Triton, MLServer and Seldon speak it in JSON.

Unknown members are ignored, for the protocol leaves room for extensions; whatever else is not as
described is refused. Of the extensions there are none: binary tensors are refused where they are
sent, and a wish for binary answers is answered in JSON, as the protocol allows.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app import __version__
from app.schemas.base import GroupName, WholeNumber
from app.scoring.inferring import Inferred, Modelled, OutputName
from app.storage.version_reader import Stored

Strict = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True)]
FIELDS: dict[OutputName, str] = {
    "score": "score",
    "threshold": "threshold",
    "flag": "flagged",
    "p_value": "p_value",
}
"""The outputs, as fields of a verdict."""


class V2(BaseModel):
    """A member of the protocol; what it does not know is ignored."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())


class Live(V2):
    """Whether the process answers."""

    live: bool


class Ready(V2):
    """Whether an image sent now would be scored."""

    ready: bool


class Server(V2):
    """What runs here."""

    name: str = "gatewatch"
    version: str = __version__
    extensions: list[str] = []


class Tensor(V2):
    """What a tensor is like; -1 stands for the number of images."""

    name: str
    datatype: Literal["BYTES", "FP64", "BOOL"]
    shape: list[int]


class Model(V2):
    """A detector, as a model."""

    name: str
    versions: list[str]
    """All there are, oldest first."""
    platform: str = "gatewatch"
    inputs: list[Tensor]
    outputs: list[Tensor]
    """Without a threshold there is no threshold and no flag; without calibration no p_value."""

    @classmethod
    def of(cls, modelled: Modelled) -> "Model":
        """Return its form."""
        return cls(
            name=modelled.name,
            versions=[str(each.version) for each in modelled.versions],
            inputs=[Tensor(name="images", datatype="BYTES", shape=[-1])],
            outputs=[
                Tensor(name=name, datatype=_datatype(name), shape=[-1]) for name in modelled.outputs
            ],
        )


class ModelReady(V2):
    """A model that scores; one that does not is a problem, which says why."""

    name: str
    ready: Literal[True] = True

    @classmethod
    def of(cls, stored: Stored) -> "ModelReady":
        """Return its form."""
        return cls(name=stored.entry.name)


class InferParameters(V2):
    """How the images are judged."""

    group: GroupName = ""
    """Lot, session or camera; judged by its own line if it has one."""
    allow_stale: Strict = False
    """Go on though images were fitted or forgotten since the calibration."""


class InferInput(V2):
    """The images."""

    name: Literal["images"]
    shape: Annotated[list[WholeNumber], Field(min_length=1, max_length=2)]
    """[n], or [n, 1], of n images."""
    datatype: Literal["BYTES"]
    data: Annotated[list[Text], Field(min_length=1)]
    """n image files, each in base64."""


class InferOutput(V2):
    """An output that is asked for."""

    name: OutputName


class InferRequest(V2):
    """Images to be scored by a model."""

    id: Text | None = None
    """Of your choice; comes back."""
    parameters: InferParameters | None = None
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=1)]
    outputs: list[InferOutput] | None = None
    """Those asked for; unset or empty: all that the model has."""


class OutputTensor(V2):
    """One value for each image, in the order of the request."""

    name: OutputName
    datatype: Literal["FP64", "BOOL"]
    shape: list[int]
    data: list[float] | list[bool]


class InferResponse(V2):
    """What the model says of the images."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]

    @classmethod
    def of(cls, inferred: Inferred, id: str | None) -> "InferResponse":
        """Return its form; the id is the client's."""
        return cls(
            model_name=inferred.model,
            model_version=str(inferred.version),
            id=id,
            outputs=[
                OutputTensor(
                    name=name,
                    datatype=_datatype(name),
                    shape=[len(inferred.verdicts)],
                    data=[getattr(verdict, FIELDS[name]) for verdict in inferred.verdicts],
                )
                for name in inferred.outputs
            ],
        )


def _datatype(name: OutputName) -> Literal["FP64", "BOOL"]:
    return "BOOL" if name == "flag" else "FP64"


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """Return how OpenAPI describes a body that a route reads by itself, complete in its place."""
    schema = kind.model_json_schema()
    kinds = schema.pop("$defs", {})

    def complete(part: Any) -> Any:
        if isinstance(part, list):
            return [complete(each) for each in part]
        if not isinstance(part, dict):
            return part
        known = kinds[part["$ref"].rpartition("/")[2]] if "$ref" in part else {}
        whole = known | {key: value for key, value in part.items() if key != "$ref"}
        return {key: complete(value) for key, value in whole.items()}

    content = {"application/json": {"schema": complete(schema)}}
    return {"requestBody": {"required": True, "content": content}}
