"""Measurements with the command to repeat them; not part of the wheel."""
