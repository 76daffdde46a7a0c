"""What one job may bring; refusals of more name the setting and what to do."""

from dataclasses import dataclass
from typing import ClassVar

from app.errors import CompressionRatioError, TooManyImagesError, UploadTooLargeError
from app.settings import Settings

SLACK_BYTES = 2**20
"""So much may unpack from anything: small files of one colour are packed very tightly."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many images, how many bytes of what, and how tightly packed."""

    images: int
    total_bytes: int
    image_bytes: int
    ratio: int
    body_bytes: int

    TOO_LONG: ClassVar[str] = (
        ": that is more images than one job may have (max_job_images), send the rest in another job"
    )
    """What is said of an archive whose list of members is longer than ``label_bytes``."""

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return those of the settings."""
        return cls(
            images=settings.max_job_images,
            total_bytes=settings.max_job_bytes,
            image_bytes=settings.max_image_bytes,
            ratio=settings.max_compression_ratio,
            body_bytes=settings.max_upload_bytes,
        )

    @property
    def label_bytes(self) -> int:
        """Most bytes that say what images are called and where they lie, for all of them."""
        return 2**16 + 512 * self.images

    def check_count(self, count: int) -> None:
        """Refuse more images than a job may have.

        Raises:
            TooManyImagesError: if there are so many.
        """
        if count > self.images:
            raise TooManyImagesError(
                f"more than {self.images} images in one job (max_job_images): send the rest in "
                "another job"
            )

    def check_image(self, name: str, size: int) -> None:
        """Refuse an image of more bytes than one may have.

        Raises:
            UploadTooLargeError: if it has so many.
        """
        if size > self.image_bytes:
            raise UploadTooLargeError(
                f"{quoted(name)} has more than {self.image_bytes} bytes (max_image_bytes): send a "
                "smaller image"
            )

    def check_total(self, size: int) -> None:
        """Refuse more bytes than all images together may have.

        Raises:
            UploadTooLargeError: if there are so many.
        """
        if size > self.total_bytes:
            raise UploadTooLargeError(
                f"more than {self.total_bytes} bytes unpacked in one job (max_job_bytes): send "
                "some of the images in another job"
            )

    def check_ratio(self, what: str, unpacked: int, packed: int) -> None:
        """Refuse what has unpacked to far more bytes than it was made from.

        Raises:
            CompressionRatioError: if it has.
        """
        if unpacked > max(SLACK_BYTES, self.ratio * packed):
            raise CompressionRatioError(
                f"{what} unpacks to more than {self.ratio} times its size "
                "(max_compression_ratio): pack the images without compression"
            )


def quoted(text: str) -> str:
    """Return a stranger's text for a message: what cannot be seen escaped, what is long cut."""
    return ascii(text if len(text) <= 100 else text[:100] + "...")
