"""Pictures of samples that show where their scores come from."""
