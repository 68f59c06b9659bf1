"""The served version and its forecasts: the gate, the ledger, the model that MLflow loads."""
