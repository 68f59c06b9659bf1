"""Deletion of old nights: which are kept and why, and the deletion of the others in store and MLflow."""
