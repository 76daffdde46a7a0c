"""gatewatch from Python: a typed client of its HTTP API.

    from gatewatch import Client

    with Client("http://localhost:8000") as client:
        client.create("bolts")
        client.fit("bolts", "good/").wait()
        client.calibrate("bolts", "more-good/", threshold=0.05).wait()
        print(client.score("bolts", "today.png").verdict)

Importing it imports neither httpx nor NumPy; docs/client.md tells the rest.
"""

from gatewatch.answers import *  # noqa: F403
from gatewatch.answers import __all__ as _answers
from gatewatch.async_job import AsyncJob
from gatewatch.asynchronous import AsyncClient
from gatewatch.errors import *  # noqa: F403
from gatewatch.errors import __all__ as _errors
from gatewatch.files import FileScore
from gatewatch.job import Job
from gatewatch.retrying import Retries
from gatewatch.synchronous import Client
from gatewatch.tables import ScoreTable, to_dataframe

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "FileScore",
    "Job",
    "Retries",
    "ScoreTable",
    "to_dataframe",
    *_answers,
    *_errors,
]
