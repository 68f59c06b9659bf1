"""The role `init`: one database and owner for Airflow, one for MLflow, both on the schema of this image.

It may run again at any time: what is there stays, passwords follow the environment, schemas are migrated.
"""

from __future__ import annotations

import os
import subprocess
import time

import psycopg2
from psycopg2 import sql

SECONDS = 120  # a database starts in seconds, one that has to recover takes longer
MIGRATE = {
    "airflow": ["airflow", "db", "migrate"],
    "mlflow": ["mlflow", "db", "upgrade", "postgresql+psycopg2://mlflow@{host}/mlflow"],  # PGPASSWORD is not in `ps`
}


def main() -> None:
    """Create what is missing, then migrate."""
    host = os.environ.get("POSTGRES_HOST", "postgres")
    with_superuser = _connect(host)
    with_superuser.autocommit = True  # a database is not created inside a transaction
    with with_superuser.cursor() as cursor:
        for name in MIGRATE:
            _create(cursor, name, os.environ[f"{name.upper()}_DB_PASSWORD"])
    with_superuser.close()
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
    role, secret = sql.Identifier(name), sql.Literal(password)
    cursor.execute("select 1 from pg_roles where rolname = %s", [name])
    verb = sql.SQL("alter" if cursor.fetchone() else "create")
    cursor.execute(sql.SQL("{} role {} login password {}").format(verb, role, secret))
    cursor.execute("select 1 from pg_database where datname = %s", [name])
    if not cursor.fetchone():
        cursor.execute(sql.SQL("create database {} owner {}").format(role, role))
        cursor.execute(sql.SQL("revoke connect on database {} from public").format(role))  # the other one's user too


if __name__ == "__main__":
    main()
