"""Is it alive, is it ready, what is it, how is it doing."""

from gatewatch.answers import Info, Life, Readiness
from gatewatch.calls import Call, answers

UNAVAILABLE = frozenset({503})


def alive() -> Call[Life]:
    """Say whether the process can go on, or only another one could."""
    return Call("GET /livez", answers(Life), also=UNAVAILABLE)


def ready() -> Call[Readiness]:
    """Say whether an image sent now would be scored, and if not, why."""
    return Call("GET /readyz", answers(Readiness), also=UNAVAILABLE)


def info() -> Call[Info]:
    """Say what runs there and what it accepts."""
    return Call("GET /v1/info", answers(Info))


def metrics() -> Call[str]:
    """Return every series in the format that Prometheus reads."""
    return Call("GET /metrics", lambda content: content.decode())
