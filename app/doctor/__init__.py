"""``gatewatch doctor``: what this machine can do, what holds it up, and which settings fit it."""
