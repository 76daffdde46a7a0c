"""What importing the client costs."""

import subprocess
import sys

HEAVY = {"torch", "numpy", "scipy", "PIL", "pandas", "httpx", "pydantic", "fastapi", "tqdm", "app"}


def test_importing_it_is_light() -> None:
    """Contract: nothing of the service, and of others only what is used when it is used."""
    code = "import sys, gatewatch; gatewatch.Client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert "gatewatch" in tops
    assert not tops & HEAVY


def test_a_client_needs_httpx_and_no_more() -> None:
    code = (
        "import sys, gatewatch\n"
        "with gatewatch.Client('http://127.0.0.1:1', retries=0) as client:\n"
        "    try: client.info()\n"
        "    except gatewatch.ServerUnreachableError: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert tops & HEAVY == {"httpx"}
