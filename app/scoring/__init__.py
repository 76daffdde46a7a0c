"""From images to verdicts: embedded in batches, judged, looked at closer, compared."""
