"""A Ray cluster of this machine, for tests, in a process of its own that ends with the tests.

The process deploys configurations of Ray Serve and kills replicas when it is told to, by lines on
its standard input, and ends when that is closed.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CPUS = 4  # tickets of Ray's, not cores
LONGEST_S = 180


class Cluster:
    """What tests tell the process, and where Serve listens."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def tell(self, what: str, *args: Any) -> Any:
        """Have something done; return what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([what, *args]) + "\n")
        self._process.stdin.flush()
        heard, _, _ = select.select([self._process.stdout], [], [], 2 * LONGEST_S)
        assert heard, f"the cluster says nothing of {what}"
        line = self._process.stdout.readline()
        assert line, "the cluster has ended: its log is above"
        return json.loads(line)

    def deploy(self, config: dict[str, Any]) -> None:
        """Deploy a configuration and wait until its replicas run."""
        self.tell("deploy", config)

    def replicas(self, application: str, deployment: str) -> list[str]:
        """Return the names of a deployment's replicas that live."""
        found: list[str] = self.tell("replicas", application, deployment)
        return found

    def kill(self, replica: str) -> None:
        """End a replica as a crash would."""
        self.tell("kill", replica)


@contextlib.contextmanager
def ray_cluster(folder: Path, port: int, **environment: str) -> Iterator[Cluster]:
    """Run one whose Serve listens on this port."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("GATEWATCH_")}
    ours = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_LOG_TO_STDERR": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "of-these-tests-and-of-nobody-else-0123456789",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=kept | ours | environment,
        start_new_session=True,
    ) as process:
        cluster = Cluster(process, port)
        try:
            assert cluster.tell("start") == "started"
            yield cluster
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


class Driver:
    """What the process does."""

    def __init__(self, port: int) -> None:
        self._port = port

    def start(self) -> str:
        import ray
        from ray import serve

        ray.init(
            num_cpus=CPUS,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=300_000_000,
            log_to_driver=False,
        )
        serve.start(http_options={"host": "127.0.0.1", "port": self._port})
        return "started"

    def deploy(self, config: dict[str, Any]) -> dict[str, str]:
        from ray import serve
        from ray.serve.context import _get_global_client
        from ray.serve.schema import ServeDeploySchema

        client: Any = _get_global_client()
        client.deploy_apps(ServeDeploySchema.model_validate(config))
        wanted = {each["name"] for each in config["applications"]}
        end_s = time.monotonic() + LONGEST_S
        while True:
            time.sleep(0.3)
            seen = serve.status().applications
            states = {name: str(app.status.value) for name, app in seen.items()}
            if states.keys() >= wanted and set(states.values()) == {"RUNNING"}:
                return states
            told = {name: app.message for name, app in seen.items()}
            assert "DEPLOY_FAILED" not in states.values(), told
            assert time.monotonic() < end_s, (states, told)

    def replicas(self, application: str, deployment: str) -> list[str]:
        import ray

        actors = ray.util.list_named_actors(all_namespaces=True)
        prefix = f"SERVE_REPLICA::{application}#{deployment}#"
        return [each["name"] for each in actors if each["name"].startswith(prefix)]

    def kill(self, replica: str) -> None:
        import ray

        ray.kill(ray.get_actor(replica, namespace="serve"))

    def end(self) -> None:
        import ray
        from ray import serve

        serve.shutdown()
        ray.shutdown()


def _run() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever Ray prints is no answer
    driver = Driver(int(sys.argv[1]))
    try:
        for line in sys.stdin:
            what, *args = json.loads(line)
            print(json.dumps(getattr(driver, what)(*args)), file=answers, flush=True)
    finally:
        driver.end()


if __name__ == "__main__":
    _run()
