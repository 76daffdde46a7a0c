"""Whether the service serves: what its parts say of themselves, and pictures sent as a proof."""
