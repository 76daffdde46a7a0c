"""A server of the S3 API (moto) in a process of its own, on a free port of the loopback."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from server_process import serving

BUCKET = "gatewatch-tests"


@contextlib.contextmanager
def bucket_server() -> Iterator[dict[str, str]]:
    """Give the environment in which a client finds the server, which has the bucket BUCKET."""
    with serving(Path(__file__)) as url:
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
        }


def _serve() -> None:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(BUCKET, "us-east-1")
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    _serve()
