"""Which version is served and what it forecasts: the gate, the ledger, the model that MLflow loads."""
