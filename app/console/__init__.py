"""The console: pages in the browser that steer the service through its API, and nothing else."""
