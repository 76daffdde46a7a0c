"""Strangers' files to samples: sound, video, graphs as JSON, lines of logs."""
