"""MLflow: runs, the log of a step, registered versions, the server's login."""
