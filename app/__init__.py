"""The service: HTTP, storage, batching, telemetry and command line around ``detector``."""

from importlib.metadata import version

__version__ = version("gatewatch")
