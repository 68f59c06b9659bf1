"""PostgreSQL and Redis of `make up-cluster`, on 127.0.0.1, with their files below `var`.

URLs, arguments and variables hold no password. PostgreSQL's clients read PGPASSFILE, Airflow runs `cat` for the address
of its broker, and Redis reads its configuration file. Only the owner can read these three files.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.operations.processes import PROGRAM, STACK, VAR
from pipeline.operations.secret_file import write_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings

NAMES = ("postgres", "redis")
USER = "closecast"  # the owner of both databases
DATABASES = ("airflow", "mlflow")
POSTGRES_ACCOUNT = "postgres"  # of the system, because PostgreSQL refuses to run as root
DEBIAN = "/usr/lib/postgresql"  # <version>/bin below it is not on PATH
POSTGRESQL_CONF = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
password_encryption = scram-sha-256
"""
REDIS_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir ../redis
# Messages must survive a killed server: Redis writes each one to disk before it answers the sender.
appendonly yes
appendfsync always
save ""
# A process title would overwrite the environment by which `make down-cluster` finds the process.
set-proc-title no
"""


def database_url(settings: Settings, name: str) -> str:
    """Return the URL of a database; it holds no password."""
    return f"postgresql+psycopg2://{USER}@127.0.0.1:{settings.postgres_port}/{name}"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that lead clients to the servers and to the password files; they hold no password."""
    var = settings.var_dir
    return {
        "PGPASSFILE": str(var / "postgres.pass"),
        "PGDATA": str(var / "postgres" / "data"),
        "AIRFLOW__CELERY__BROKER_URL_CMD": f"cat {shlex.quote(str(var / 'redis' / 'url'))}",
    }


def commands() -> dict[str, str]:
    """Return the commands by which supervisord starts the servers after `prepare`.

    Raises:
        PipelineError: a server is not installed.
    """
    return {
        "postgres": shlex.quote(_program_path("postgres")),
        "redis": f"{shlex.quote(_program_path('redis-server'))} {VAR}/redis/redis.conf",
    }


def prepare(settings: Settings) -> None:
    """Create passwords, configuration files and an empty PostgreSQL, and keep existing ones except for the ports.

    Raises:
        PipelineError: a server is not installed, or PostgreSQL cannot be initialised.
    """
    commands()  # raises if a server is not installed
    redis = settings.var_dir / "redis"
    redis.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(redis / "password", secrets.token_urlsafe(32))
    password = (redis / "password").read_text()
    url = f"redis://:{password}@127.0.0.1:{settings.redis_port}/0"
    write_secret(redis / "url", url, replace=True)
    write_secret(redis / "redis.conf", REDIS_CONF.format(port=settings.redis_port, password=password), replace=True)
    _initialise_postgres(settings)


@contextlib.contextmanager
def temporary_postgres(settings: Settings) -> Iterator[None]:
    """Run PostgreSQL with both databases until the block ends, before the rest of the stack starts.

    Raises:
        PipelineError: PostgreSQL does not start, or a database cannot be created.
    """
    marked = environment(settings) | {STACK: str(settings.var_dir), PROGRAM: "postgres"}  # so that `down` finds it
    _run(settings, "pg_ctl", "start", "--wait", "--silent", marked=marked)
    try:
        for name in DATABASES:
            _create_database(settings, name)
        yield
    finally:
        _run(settings, "pg_ctl", "stop", "--wait", "--silent", "--mode=fast", marked=marked)


def drop_root() -> None:
    """Change from root to the system's account for PostgreSQL; other users stay as they are."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(POSTGRES_ACCOUNT)
        os.chdir("/")  # PostgreSQL must be able to return to the folder that it started in
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)


def _initialise_postgres(settings: Settings) -> None:
    place = settings.var_dir / "postgres"
    passwords = settings.var_dir / "postgres.pass"
    write_secret(passwords, f"127.0.0.1:*:*:{USER}:{secrets.token_urlsafe(32)}\n")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = place / "data"
    if not data.exists():
        unfinished = place / "half"  # renamed when complete, so a killed initdb leaves no half-made `data`
        if unfinished.exists():
            shutil.rmtree(unfinished)
        password = place / "password"
        write_secret(password, passwords.read_text().rpartition(":")[2], replace=True)
        if os.geteuid() == 0:
            for path in (place, password):
                shutil.chown(path, POSTGRES_ACCOUNT, POSTGRES_ACCOUNT)
        options = f"--username={USER} --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8".split()
        _run(settings, "initdb", *options, f"--pwfile={password}", f"--pgdata={unfinished}")
        password.unlink()
        unfinished.rename(data)
    (data / "postgresql.conf").write_text(POSTGRESQL_CONF.format(port=settings.postgres_port))


def _run(settings: Settings, program: str, *words: str, marked: dict[str, str] | None = None) -> None:
    """Run one of PostgreSQL's programs, as its system account if this process is root."""
    log = settings.var_dir / "log" / "postgres-setup.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    account = POSTGRES_ACCOUNT if os.geteuid() == 0 else None
    with log.open("ab") as out:
        done = subprocess.run(
            [_program_path(program), *words],
            env=os.environ | (marked or {}),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,  # not a pipe: the server that pg_ctl leaves running would keep the pipe open
            stderr=out,
            check=False,
            user=account,
            group=account,
            extra_groups=() if account else None,
        )
    if done.returncode:
        raise PipelineError(
            f"PostgreSQL's {program} must succeed.",
            f"exit code {done.returncode}; the end of its log: {log.read_text()[-200:]}",
            f"Read {log}. The account {POSTGRES_ACCOUNT} must be able to enter {settings.var_dir} (chmod o+x).",
        )


def _create_database(settings: Settings, name: str) -> None:
    options = f"--host 127.0.0.1 --port {settings.postgres_port} --username {USER} --no-password".split()
    command = [_program_path("createdb"), *options, name]
    done = subprocess.run(
        command, env=os.environ | environment(settings), capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode and "already exists" not in done.stderr:
        log_folder = settings.var_dir / "log"
        raise PipelineError(
            f"PostgreSQL must create the database {name}.", done.stderr[:200], f"Read the logs in {log_folder}."
        )


def _program_path(program: str) -> str:
    """Return the path of a server's program, of the newest version if Debian has several."""
    paths = sorted(Path(DEBIAN).glob(f"*/bin/{program}"), key=_debian_version)
    found = str(paths[-1]) if paths else shutil.which(program)
    if not found:
        raise PipelineError(
            "The cluster needs PostgreSQL and Redis on this machine.",
            f"no program {program}",
            "Install them: `apt-get install postgresql redis-server` (Debian, Ubuntu). Their services may stay off.",
        )
    return found


def _debian_version(path: Path) -> int:
    """Return 15 for /usr/lib/postgresql/15/bin/postgres, and 0 for a folder without a number."""
    major = path.parts[-3].partition(".")[0]
    return int(major) if major.isdigit() else 0
