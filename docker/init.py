"""The role `init`: creates a database and its owner for Airflow and for MLflow, and migrates both schemas.

It can run again at any time: it keeps existing data, sets the passwords of the environment and migrates the schemas.
"""

from __future__ import annotations

import os
import subprocess
import time

import psycopg2
from psycopg2 import sql

SECONDS = 120  # PostgreSQL starts in seconds, but recovery takes longer
MIGRATE = {
    "airflow": ["airflow", "db", "migrate"],
    "mlflow": [
        "mlflow",
        "db",
        "upgrade",
        "postgresql+psycopg2://mlflow@{host}/mlflow",
    ],  # PGPASSWORD, because `ps` shows a URL
}


def main() -> None:
    """Create missing databases and owners, then migrate."""
    host = os.environ.get("POSTGRES_HOST", "postgres")
    connection = _connect(host)
    connection.autocommit = True  # PostgreSQL creates no database inside a transaction
    with connection.cursor() as cursor:
        for name in MIGRATE:
            _create(cursor, name, os.environ[f"{name.upper()}_DB_PASSWORD"])
    connection.close()
    for name, command in MIGRATE.items():
        print(f"Migrating the database {name} ...", flush=True)
        environment = os.environ | {"PGPASSWORD": os.environ[f"{name.upper()}_DB_PASSWORD"]}
        subprocess.run([word.format(host=host) for word in command], env=environment, check=True)


def _connect(host: str) -> psycopg2.extensions.connection:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return psycopg2.connect(
                host=host, dbname="postgres", user="postgres", password=os.environ["POSTGRES_PASSWORD"]
            )
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _create(cursor: psycopg2.extensions.cursor, name: str, password: str) -> None:
    role = sql.Identifier(name)
    secret = sql.Literal(password)
    cursor.execute("select 1 from pg_roles where rolname = %s", [name])
    verb = sql.SQL("alter" if cursor.fetchone() else "create")
    cursor.execute(sql.SQL("{} role {} login password {}").format(verb, role, secret))
    cursor.execute("select 1 from pg_database where datname = %s", [name])
    if not cursor.fetchone():
        cursor.execute(sql.SQL("create database {} owner {}").format(role, role))
        cursor.execute(
            sql.SQL("revoke connect on database {} from public").format(role)
        )  # else the owner of the other database could connect


if __name__ == "__main__":
    main()
