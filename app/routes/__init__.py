"""Routes: declarations only; what they do is in the service."""
