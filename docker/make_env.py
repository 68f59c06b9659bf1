"""`make docker-env`: writes generated secrets for compose.yaml to docker/.env, and never overwrites that file."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

PASSWORDS = (  # URL-safe, because Redis' URL and PostgreSQL's commands contain them
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
    """Create `path`, readable by its owner only, or keep an existing file."""
    if path.exists():
        print(f"{path} exists and stays as it is.")
        return
    lines = [f"{name}={secrets.token_urlsafe(48 if 'SECRET' in name else 24)}" for name in PASSWORDS]
    lines.append(f"AIRFLOW_FERNET_KEY={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(
            "# Secrets of compose.yaml. The databases keep their first passwords: back this file up with them.\n"
        )
        file.write("\n".join(lines) + "\n")
    os.link(new, path)  # atomic, and fails if another `make docker-env` was faster
    new.unlink()
    print(f"Wrote {path}. User admin; the passwords of the pages are AIRFLOW_ADMIN_PASSWORD and MLFLOW_ADMIN_PASSWORD.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
