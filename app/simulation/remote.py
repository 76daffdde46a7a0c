"""The service that a simulation plays at, over HTTP: what is asked of it, and what it answers.

A request that it refuses for now (429, 503 with Retry-After) is repeated, and so is one whose
connection broke, until it has been refused for ``PATIENCE_S``. To repeat is safe: a job begins once
for all requests of one Idempotency-Key, a picture that is scored twice is one picture more, and the
subject knows what it finds made, or deleted, by a request whose answer was lost.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from app.simulation.errors import RefusedError, SimulationError

PATIENCE_S = 60.0
POLL_S = 0.2
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
TRY_LATER = (429, 503)
CUT_OFF = "the service does not answer any more"
Seen = Callable[[int], None]
"""Called with how many images of a job are done."""


class Remote:
    """A client; a context that closes its connections.

    Args:
        url: of the service, without a path of its own.
        key: API key, if it needs one.
        patience_s: how long a request is repeated that is refused for now.
    """

    def __init__(self, url: str, key: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self.url, self._patience_s = url.rstrip("/"), patience_s
        try:
            address = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise RefusedError(f"{url} is no address: {error}") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise RefusedError(f"{url} is no address of a service: give http://HOST:PORT")
        if key and not (key.isascii() and key.isprintable()):
            raise RefusedError("the API key has characters that no key has: copy it anew")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A proxy of the environment knows nothing of this machine's loopback.
        environment = address.host not in LOOPBACK
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=120, trust_env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def greet(self) -> None:
        """Make sure that the service is there, can score, and lets us do all that is needed.

        Raises:
            RefusedError: if not.
        """
        try:
            ready = self._http.get("/readyz", timeout=10)
            audit = self._http.get("/v1/audit", params={"limit": 1}, timeout=10)
        except httpx.TransportError as error:
            raise RefusedError(
                f"nobody answers at {self.url} ({error}): start it with gatewatch serve, or give "
                "its address with --url"
            ) from error
        if audit.status_code in (401, 403):
            raise RefusedError(
                f"{_detail(audit)}; a simulation makes, calibrates and deletes a detector: give a "
                "key of role 'admin' with --api-key or GATEWATCH_API_KEY"
            )
        if ready.status_code == 503:
            raise RefusedError(f"{self.url} is not ready yet, /readyz says why: try again later")
        if not (ready.status_code == audit.status_code == 200 and _has(audit, "lines")):
            raise RefusedError(f"{self.url} is no gatewatch service: {_detail(audit)}")

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of an answer. Raises SimulationError."""
        return self.ask("GET", path, params=parameters).json()

    def ask(
        self, method: str, path: str, *, patience_s: float | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request, again if it is refused for now, for as long as usual unless told.

        Raises:
            SimulationError: if it is refused for good or for too long, or nobody answers.
        """
        give_up_s = time.monotonic() + (self._patience_s if patience_s is None else patience_s)
        while True:
            wait_s, why, cause = 1.0, "", None
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                why, cause = f"{CUT_OFF}: {method} {path} ({error!r})", error
            else:
                if response.status_code not in TRY_LATER:
                    break
                why = f"{method} {path} was refused for too long: {_detail(response)}"
                wait_s = _seconds(response.headers.get("retry-after", ""))
            if time.monotonic() + wait_s > give_up_s:
                raise SimulationError(why) from cause
            time.sleep(wait_s)
        if response.is_error:
            raise SimulationError(f"{method} {path}: {_detail(response)}", response.status_code)
        return response

    def job(self, path: str, files: Sequence[bytes], seen: Seen, **parameters: Any) -> Any:
        """Begin a job with images, follow it and return its result; cancelled if interrupted.

        Raises:
            SimulationError: if it fails, too.
        """
        job = self.ask(
            "POST",
            path,
            files=form(files),
            params=parameters,
            headers={"Idempotency-Key": uuid.uuid4().hex},
        ).json()
        address = f"/v1/jobs/{job['id']}"
        try:
            while job["state"] in ("queued", "running"):
                time.sleep(POLL_S)
                job = self.get(address)
                seen(job["images_done"])
        except BaseException:
            with contextlib.suppress(httpx.TransportError):
                self._http.delete(address, timeout=10)
            raise
        if job["state"] != "succeeded":
            why = job["problem"]["detail"] if job["problem"] else job["state"]
            raise SimulationError(f"{path}: {why}")
        return job["result"]


def form(files: Sequence[bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Return JPEG files as the parts of a form."""
    return [("images", (f"{i:04d}.jpg", file, "image/jpeg")) for i, file in enumerate(files)]


def _detail(response: httpx.Response) -> str:
    """Return what a problem says, or what stands for it."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason_phrase}"


def _has(response: httpx.Response, field: str) -> bool:
    try:
        return field in response.json()
    except (ValueError, TypeError):
        return False


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 1.0
