"""A scripted scene streamed at a running service: see the monitors react before trusting them."""
