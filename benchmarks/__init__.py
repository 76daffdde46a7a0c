"""Measurements with the command to repeat them; nothing here ships."""
