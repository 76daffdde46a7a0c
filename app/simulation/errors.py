"""Why a simulation ends early; none of it is a failure of the service's own."""


class SimulationError(Exception):
    """The simulation cannot go on; the message says why, and what to do.

    Attributes:
        status: of HTTP, if the service has refused something; else None.
    """

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class RefusedError(SimulationError):
    """It did not begin: nobody answers at the address, a role is missing, a name is taken."""
