"""MLflow: runs, what a step logs, registered versions, the server's login."""
