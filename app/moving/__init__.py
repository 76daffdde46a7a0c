"""A detector as one file: out of one service and into another."""
