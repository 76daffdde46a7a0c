"""Every knob of the service: one field is one ``GATEWATCH_*`` environment variable."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "GATEWATCH_"
OF_CLIENTS = ("GATEWATCH_URL", "GATEWATCH_API_KEY")
"""What clients read, in whose shell a service may be started."""


class Settings(BaseSettings):
    """The configuration; built once where the process starts, then passed down."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        use_attribute_docstrings=True,
        extra="forbid",
        hide_input_in_errors=True,  # which would be all that is set, secrets, too
    )

    host: str = "127.0.0.1"
    """Address the server listens on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port the server listens on."""
    open: bool = False
    """Take requests without a key from anybody who reaches the server, until a key is made."""
    data_dir: Path = Path("data")
    """Directory of the database and the detectors' files."""
    database: SecretStr | None = None
    """URL of a PostgreSQL database, postgresql://USER:PASSWORD@HOST/NAME, for several servers;
    unset: SQLite in the data directory."""
    bucket: str | None = None
    """S3-compatible bucket of the detectors' files, s3://BUCKET/FOLDER, for several servers; unset:
    the data directory. Keys and endpoint are read from the usual AWS_* variables."""
    backbone: str = "se-lite0"
    """Backbone that embeds images: se-lite0; with the extra [timm] timm:NAME, an SE network; or
    efficientnet-b0 to -b7, mobilenet-v3-large or -small with a file of torchvision's weights."""
    weights: Path | None = None
    """File of the backbone's weights, .safetensors, .pth or .pt: of the gates for se-lite0, of the
    whole network for the others; unset: the shipped gates, or timm's hub."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the backbone runs; auto takes CUDA when there is one."""
    engine: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    """What runs the backbone; auto takes ONNX Runtime on the CPU, some three times as fast as
    torch, once its graph is made and agrees with torch, and torch on CUDA; openvino needs the
    extra [openvino]."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the backbone computes in; bfloat16 is another backbone to detectors, which must be
    fitted anew, and needs CUDA, or openvino on a CPU that has it."""
    threads: PositiveInt | None = None
    """CPU threads of one backbone pass; unset: ONNX Runtime takes one, and as many passes at a time
    as there are cores; torch takes its own choice."""
    decode_threads: PositiveInt = 2
    """Threads that decode and judge; where several passes run at a time on a CPU, the image of a
    request that brings one is decoded and judged by its pass instead."""
    max_batch: PositiveInt | None = None
    """Most images in one backbone pass; unset: 32 on CUDA, 4 on the CPU, or 1 where several passes
    run at a time with another engine than ONNX Runtime."""
    queue_images: PositiveInt = 2048
    """Most images that wait to be scored, and most that wait to be fitted; beyond it a request is
    refused with 503, and a fit waits. At least max_request_images, else such a request could never
    be taken."""
    queue_bytes: PositiveInt = 1024**3
    """Most bytes of the bodies of all requests to score that are not answered yet; beyond it a
    request is refused with 503. At least max_body_bytes."""
    queue_seconds: PositiveFloat = 1.5
    """Longest that a request to score may have to wait for those before it, as far as can be told;
    beyond it it is refused with 503 and the time after which to come again."""
    max_body_bytes: PositiveInt = 512 * 1024**2
    """Largest request body, in bytes."""
    max_request_images: PositiveInt = 1000
    """Most images in one request that is answered at once."""
    max_upload_bytes: PositiveInt = 16 * 1024**3
    """Largest body of a request that begins a job, in bytes."""
    max_job_images: PositiveInt = 20_000
    """Most images in one job."""
    max_job_bytes: PositiveInt = 16 * 1024**3
    """Most bytes of all images of one job, unpacked."""
    max_image_bytes: PositiveInt = 256 * 1024**2
    """Largest image of a job, or in a zip file or JSON to be scored, in bytes, unpacked."""
    max_compression_ratio: PositiveInt = 200
    """How many times its own size an archive, or a file in it, may unpack to."""
    import_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders of the server whose images jobs may import, separated by colons; none: no import."""
    max_image_pixels: PositiveInt = 50_000_000
    """Largest image, width times height, read from its header before it is decoded."""
    min_image_side: PositiveInt = 16
    """Smallest width and height of an image, in pixels."""
    keep_fitted_rows: bool = True
    """Whether rows of fitted and calibration images are kept, some 150 kB each; forgetting single
    images, and calibrating again without images, need them."""
    cached_detectors: PositiveInt = 100
    """Detectors kept in memory, some 10 MB each with the default scorer; others are read again when
    they are asked, which takes some 200 ms."""
    training_seconds: PositiveFloat = 300
    """Most seconds that a network learns from a detector's normal samples (kinds but images), once
    they are read; it usually has learned enough earlier."""
    jobs_at_once: PositiveInt = 2
    """Jobs that one process works on at the same time."""
    history_bytes: NonNegativeInt = 2 * 1024**3
    """Bytes of scored images' rows that are kept, of all detectors (some 100 kB an image); the
    oldest go first. 0: none, and what was said of an image is kept nowhere."""
    history_days: PositiveInt = 30
    """Days that scored images' rows are kept at most."""
    drift_false_alarm_images: NonNegativeInt = 10_000
    """Images among which at most one false alarm of drift may be expected, for each detector; more
    images are slower to see a change. 0: the traffic is not watched."""
    webhook_url: SecretStr | None = None
    """URL that notices of drift are posted to; unset: none. http:// will do within a network of
    your own: notices are signed, but not hidden then."""
    webhook_secret: SecretStr | None = None
    """What notices to the webhook are signed with: whsec_ and 24 to 64 random bytes in base64; two
    of them with a space between while one takes the place of the other."""
    webhook_seconds: PositiveFloat = 15
    """How long the webhook may take to answer; beyond it is tried again."""
    mqtt_url: SecretStr | None = None
    """MQTT broker that notices of drift are published to, mqtt[s]://USER:PASSWORD@HOST:PORT/PREFIX,
    under PREFIX/DETECTOR/drift; unset: none. Needs the extra [mqtt]."""
    notices_dir: Path | None = None
    """Folder that notices of drift are put into, a JSON file each; unset: none."""
    job_lease_s: PositiveFloat = 30
    """Seconds after which a job is taken up again whose process says nothing any more."""
    job_days: PositiveInt = 30
    """Days that jobs which have ended are kept."""
    health_seconds: PositiveFloat = 30
    """How long ago an image may have gone through at most for the service to be ready: while none
    comes, one of its own is sent. A stage that is at one image for so long is stuck."""
    body_seconds: PositiveFloat = 30
    """How long a request's body may keep the server waiting, and one second more for every 16 kB
    of it; beyond it is a 408. Headers have as long, and so has an answer to be read."""
    drain_seconds: PositiveInt = 10
    """How long a stopping server goes on with requests under way; what is left is told 503."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""

    @field_validator("import_roots", mode="before")
    @classmethod
    def _split(cls, roots: object) -> object:
        return [root for root in roots.split(":") if root] if isinstance(roots, str) else roots

    @field_validator("import_roots")
    @classmethod
    def _absolute(cls, roots: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in roots:
            if not root.is_absolute():
                raise ValueError(f"{root} is not an absolute path")
        return roots

    @field_validator("drift_false_alarm_images")
    @classmethod
    def _promises(cls, images: int) -> int:
        if images == 1:
            raise ValueError("one false alarm per image promises nothing: give more, or 0")
        return images

    @model_validator(mode="after")
    def _largest_request_fits(self) -> "Settings":
        pairs = (("queue_images", "max_request_images"), ("queue_bytes", "max_body_bytes"))
        wrong = [
            f"{variable(queue)}: must be at least {variable(largest)}, {getattr(self, largest)}, "
            "or such a request could never be taken"
            for queue, largest in pairs
            if getattr(self, queue) < getattr(self, largest)
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @property
    def sinks(self) -> tuple[str, ...]:
        """To whom notices of drift go."""
        given = {"webhook": self.webhook_url, "mqtt": self.mqtt_url, "folder": self.notices_dir}
        return tuple(name for name, where in given.items() if where is not None)

    @property
    def limits(self) -> dict[str, int]:
        """What a client may send at most, and at least."""
        return {
            name: getattr(self, name)
            for name in (
                "max_body_bytes",
                "max_request_images",
                "max_upload_bytes",
                "max_job_images",
                "max_job_bytes",
                "max_image_bytes",
                "max_compression_ratio",
                "max_image_pixels",
                "min_image_side",
                "queue_images",
                "queue_bytes",
            )
        }


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name}".upper()


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse variables with our prefix that no setting reads, so that a typing error is noticed.

    Raises:
        ValueError: naming the strays and the settings that exist.
    """
    known = {variable(name) for name in Settings.model_fields}
    strays = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in {*known, *OF_CLIENTS}
    )
    if strays:
        raise ValueError(
            f"unknown setting(s) {', '.join(strays)}; there are: {', '.join(sorted(known))}"
        )
