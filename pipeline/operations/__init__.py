"""The local stack of Airflow, MLflow, PostgreSQL and Redis, its supervisor, and a run without servers."""
