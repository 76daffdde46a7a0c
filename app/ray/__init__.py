"""The service on a Ray cluster: what Ray Serve runs, and how its replicas speak to one another."""
