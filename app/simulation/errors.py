"""Why a simulation ends early; none of it is a failure of the service's own."""


class SimulationError(Exception):
    """The simulation cannot go on; the message says why, and what to do."""


class RefusedError(SimulationError):
    """It did not begin: nobody answers at the address, a role is missing, a name is taken."""
