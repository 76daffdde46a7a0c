"""Kinds of data other than images, through the HTTP API, beside plain baselines.

``python -m benchmarks.kinds SHARED_DATA --out OUT`` writes the sets in the layouts of ``gatewatch
bench`` (train/good, test/good, test/<anomaly>), starts a server, and for each set creates a
detector of the kind, fits it to train/good and scores the test samples; the baselines see the same
files in the same run.
"""
