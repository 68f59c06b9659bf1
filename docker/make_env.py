"""Write the secrets of compose.yaml into docker/.env: `make docker-env`. What is there is never written again."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

PASSWORDS = (  # of URL-safe letters: they stand in Redis' URL and in PostgreSQL's commands
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_ADMIN_PASSWORD",
    "MLFLOW_ADMIN_PASSWORD",
    "AIRFLOW_SECRET_KEY",
    "AIRFLOW_JWT_SECRET",
)


def main(path: Path) -> None:
    """Create `path` for its owner alone, or leave it as it is."""
    if path.exists():
        print(f"{path} is there already and stays as it is.")
        return
    lines = [f"{name}={secrets.token_urlsafe(48 if 'SECRET' in name else 24)}" for name in PASSWORDS]
    lines.append(f"AIRFLOW_FERNET_KEY={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(
            "# Secrets of compose.yaml. The databases keep the first ones they see: back this file up with them.\n"
        )
        file.write("\n".join(lines) + "\n")
    os.link(new, path)  # fails where a second `make docker-env` was faster; never half a file
    new.unlink()
    print(f"Wrote {path}. User admin; the passwords of the pages are AIRFLOW_ADMIN_PASSWORD and MLFLOW_ADMIN_PASSWORD.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
