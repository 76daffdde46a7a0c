"""Alarms of drift as notices: written with the drift state, sent by webhook, MQTT and folder."""
