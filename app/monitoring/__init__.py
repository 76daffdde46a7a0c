"""Drift of the traffic, watched image by image: what is fed, kept, told and acknowledged."""
