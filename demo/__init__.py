"""A demonstration of the service on defects planted in real photographs: ``python -m demo``."""
