"""The commands of ``gatewatch``."""
