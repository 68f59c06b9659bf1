"""The local stack: Airflow, MLflow, PostgreSQL and Redis, their supervisor, and a run without servers."""
