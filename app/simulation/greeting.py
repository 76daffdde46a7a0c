"""The first words with a service: whether it is there, ready, and lets us do what is needed."""

from app.simulation.errors import RefusedError
from gatewatch import Client, GatewatchError, ProblemError, ServerUnreachableError
from gatewatch.connection import shown

DENIED = (401, 403)


def greet(client: Client, url: str) -> None:
    """Make sure that the service is there, can score, and lets us do all that is needed.

    Args:
        client: that does not repeat what it asks.
        url: where it asks.

    Raises:
        RefusedError: if not.
    """
    url = shown(url)
    try:
        ready = client.ready()
        list(client.audit(limit=1))
    except ServerUnreachableError as error:
        raise RefusedError(
            f"nobody answers at {url} ({error.__cause__}): start it with gatewatch serve, or give "
            "its address with --url"
        ) from error
    except ProblemError as error:
        if error.status in DENIED:
            raise RefusedError(
                f"{error.detail}; a simulation makes, calibrates and deletes a detector: give a "
                "key of role 'admin' with --key-file or GATEWATCH_API_KEY"
            ) from error
        raise RefusedError(f"{url} is no gatewatch service: {error.title}") from error
    except GatewatchError as error:
        raise RefusedError(f"{url} is no gatewatch service: {error}") from error
    if ready.status != "ok":
        raise RefusedError(f"{url} is not ready yet, /readyz says why: try again later")
