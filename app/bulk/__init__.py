"""Fit at large: any number of processes each see a share of the images, and their parts add up."""
