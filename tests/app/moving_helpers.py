"""Services that give and take detectors: on a backbone without torch, reached by HTTP."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from history_helpers import NAME, picture
from http_helpers import create, strict, upload
from starlette.testclient import TestClient
from stub_backbone import stub_embedder

from app.main import create_app
from app.moving.bundle import MANIFEST
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.telemetry import Telemetry
from detector.embedder import Embedder


class Site:
    """A service at one place."""

    def __init__(self, client: TestClient, service: Service) -> None:
        self.client = client
        self.service = service

    def learn(self, name: str = NAME, **spec: Any) -> None:
        """Create a detector; fit it to pictures of two groups, and calibrate it with others."""
        create(self.client, name, scorer="fusion", **spec)
        self.do("fit", range(20), name, group="monday")
        self.do("fit", range(20, 40), name, group="tuesday", mode="extend")
        normals = [("images", (f"{seed}.bmp", picture(seed))) for seed in range(100, 139)]
        odd = [("anomalies", (f"{seed}.bmp", picture(seed, 60))) for seed in range(3)]
        url = f"/v1/detectors/{name}/calibrate"
        posted = self.client.post(url, files=[*normals, *odd], params={"promote": "always"})
        assert self.ended(posted)["state"] == "succeeded"

    def do(self, verb: str, seeds: range, name: str = NAME, **query: Any) -> None:
        """Send pictures to be fitted or calibrated with."""
        done = upload(self.client, name, verb, [picture(seed) for seed in seeds], **query)
        assert done.status_code == 200, done.text

    def ended(self, posted: Any) -> dict[str, Any]:
        """Return the job that a request has begun, once it has ended."""
        assert posted.status_code == 202, posted.text
        while True:
            job = strict(self.client.get(posted.headers["location"]))
            if job["state"] not in ("queued", "running"):
                return dict(job)

    def scores(self, name: str = NAME, **query: Any) -> list[dict[str, Any]]:
        """Return what is said of some pictures, normal and odd; ids are made anew every time."""
        files = [picture(seed, 20 * (seed % 4)) for seed in range(900, 912)]
        answer = upload(self.client, name, "score", files, **query)
        assert answer.status_code == 200, answer.text
        varying = {"id", "timings_ms"}
        return [
            {key: value for key, value in result.items() if key not in varying}
            for result in strict(answer)["results"]
        ]

    def export(self, name: str = NAME, **query: Any) -> bytes:
        """Return a bundle."""
        answer = self.client.get(f"/v1/detectors/{name}/export", params=query)
        assert answer.status_code == 200, answer.text
        return bytes(answer.content)

    def bring(self, bundle: bytes, media_type: str = "application/zip", **query: Any) -> Any:
        """Send a bundle; return the response."""
        headers = {"content-type": media_type}
        url = "/v1/import"
        return self.client.post(url, content=bundle, headers=headers, params=query)

    def held(self) -> tuple[list[str], list[str], list[str]]:
        """Return what is there: names of detectors and blobs, and of files being received."""
        names = [entry.name for entry in self.service.catalogue.all()]
        incoming = self.service.settings.data_dir / "incoming"
        files = sorted(map(str, incoming.rglob("*"))) if incoming.exists() else []
        return names, self.service.storage.blobs.names(), files


@contextmanager
def site(
    directory: Path,
    *,
    database: str | None = None,
    bucket: str | None = None,
    embedder: Embedder | None = None,
    **settings: Any,
) -> Iterator[Site]:
    """Run a service, as behind a real server; a failure inside it is an answer."""
    knobs = Settings(data_dir=directory, device="cpu", **settings)
    storage = Storage.open(directory, database=database, bucket=bucket)
    service = Service(knobs, embedder or stub_embedder(), storage, Telemetry())
    app = create_app(knobs, service)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield Site(client, service)


def members(bundle: bytes) -> dict[str, bytes]:
    """Return what is in a bundle, in order."""
    with ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifest_of(bundle: bytes) -> dict[str, Any]:
    """Return what its manifest says."""
    return dict(json.loads(json.loads(members(bundle)[MANIFEST])["manifest"]))


def zipped(contents: Mapping[str, bytes], **options: Any) -> bytes:
    """Return a ZIP of these members, as a bundle has them unless told."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, content in contents.items():
            archive.writestr(ZipInfo(name), content, **options)
    return file.getvalue()


def forged(bundle: bytes, changes: Mapping[str, bytes | None], **said: Any) -> bytes:
    """Return a bundle with members changed, added or (None) left out, and digests that fit."""
    kept = {name: content for name, content in members(bundle).items() if name != MANIFEST}
    kept |= {name: content for name, content in changes.items() if content is not None}
    for name in [name for name, content in changes.items() if content is None]:
        del kept[name]
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in kept.items()}
    return zipped(kept | {MANIFEST: signed(manifest_of(bundle) | {"members": digests} | said)})


def signed(manifest: Any) -> bytes:
    """Return the member that holds a manifest and its digest."""
    said = manifest if isinstance(manifest, str) else json.dumps(manifest)
    digest = hashlib.sha256(said.encode()).hexdigest()
    return json.dumps({"sha256": digest, "manifest": said}).encode()
