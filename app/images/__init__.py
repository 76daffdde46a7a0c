"""Pictures of strangers, and which part of them counts."""
