"""What only a bucket can do wrong: not answer, refuse, break off, be configured badly."""

import logging
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import StorageError, StorageUnavailableError
from app.storage.blobs import Blobs
from app.storage.locations import blobs_at

SECRET = "s3cr3t-k3y"
DENIED = (
    "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>"
    f"<CanonicalRequest>x-amz-security-token:{SECRET}</CanonicalRequest></Error>"
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and region, and no bucket anywhere: the tests say where."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server that gives every request the same answer (the parameter); its log of requests."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    seen.append(connection.recv(65536).split(b"\r\n")[0].decode())
                    connection.sendall(request.param.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield seen
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def answered(status: str, body: str, length: int | None = None) -> str:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}"


def every_call(blobs: Blobs, file: Path) -> list[Callable[[], object]]:
    file.write_bytes(b"x" * 6_000_000)  # two parts
    return [
        lambda: blobs.put("a", b"x"),
        lambda: blobs.put_file("a", file),
        lambda: blobs.get("a"),
        lambda: blobs.open_local("a").__enter__(),
        lambda: blobs.listing(),
        lambda: blobs.delete("a"),
        lambda: blobs.delete_all("a"),
    ]


def assert_unavailable(calls: list[Callable[[], object]], reason: str) -> None:
    for call in calls:
        with pytest.raises(StorageUnavailableError, match=reason) as caught:
            call()
        assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: every call ends with the named error, and an upload keeps its file."""
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "upload"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # so that nobody else comes to listen there
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        calls = every_call(blobs_at("s3://my-bucket/a"), file)
        assert_unavailable(calls, "bucket 'my-bucket' gives no answer")
    assert file.exists()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("server", [answered("403 Forbidden", DENIED)], indirect=True)
def test_a_server_that_refuses_is_asked_once(tmp_path: Path, server: list[str]) -> None:
    """Contract: the code of the answer is told, not its text, which quotes what was signed."""
    calls = every_call(blobs_at("s3://my-bucket/a"), tmp_path / "upload")
    assert_unavailable(calls, "bucket 'my-bucket' answers SignatureDoesNotMatch")
    assert len(server) == len(calls)


@pytest.mark.parametrize("server", [answered("503 Slow Down", "later")], indirect=True)
def test_a_busy_server_is_asked_again_a_few_times(server: list[str]) -> None:
    """Contract: four more times, then no more."""
    assert_unavailable([lambda: blobs_at("s3://my-bucket/a").get("b")], "answers 503")
    assert server == ["GET /my-bucket/a/b HTTP/1.1"] * 5


@pytest.mark.parametrize("server", [answered("200 OK", "half", length=8)], indirect=True)
def test_an_answer_that_breaks_off_is_no_blob(server: list[str]) -> None:
    """Contract: neither as bytes nor as a file."""
    blobs = blobs_at("s3://my-bucket/a")
    reads = [lambda: blobs.get("b"), lambda: blobs.open_local("b").__enter__()]
    assert_unavailable(reads, "bucket 'my-bucket'")
    assert server


def test_a_missing_bucket_is_not_a_missing_blob(
    bucket_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: who made a slip in the bucket's name reads so."""
    for name, value in bucket_environment.items():
        monkeypatch.setenv(name, value)
    calls = every_call(blobs_at("s3://no-such-bucket"), tmp_path / "upload")
    assert_unavailable(calls, "bucket 'no-such-bucket' answers NoSuchBucket")


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("AWS_ENDPOINT_URL", "https://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:9"),
    ],
)
def test_plain_http_is_spoken_only_where_the_endpoint_says_so(
    bucket_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    """Contract: an https endpoint is not asked by http, and the one for S3 goes first."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_environment["AWS_ENDPOINT_URL"])
    monkeypatch.setenv(variable, url)
    assert_unavailable([blobs_at("s3://gatewatch-tests/a").listing], "gives no answer")


@pytest.mark.parametrize(
    "location", ["s3://", "s3:///a", "s3://Bucket", "s3://b", "s3://bucket/../a", "s3://bucket/a b"]
)
def test_bad_locations_are_refused(location: str) -> None:
    """Contract: before anything is asked."""
    with pytest.raises(StorageError, match="bucket"):
        blobs_at(location)


def test_a_bad_setting_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the message says where to look."""
    monkeypatch.setenv("AWS_CHECKSUM_ALGORITHM", SECRET)
    with pytest.raises(StorageError, match=r"check the AWS_\* variables") as caught:
        blobs_at("s3://my-bucket")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_directory_needs_no_client_and_a_bucket_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the client is imported for a bucket only; where it is missing, what to install."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "app.storage.buckets", raising=False)
    blobs_at(tmp_path).put("a", b"x")
    with pytest.raises(StorageError, match=r"needs .* obstore: pip install 'gatewatch\[cluster\]'"):
        blobs_at("s3://my-bucket")
