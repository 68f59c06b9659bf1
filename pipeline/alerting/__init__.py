"""Alerts: their texts, their channels, and the record of sent alerts."""
