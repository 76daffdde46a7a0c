"""The pictures of docs/monitoring.md: the dashboard's own queries, asked of a real Prometheus."""
