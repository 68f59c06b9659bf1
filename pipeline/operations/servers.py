"""PostgreSQL and Redis of `make up-cluster`: on 127.0.0.1, with files of their own below `var`.

No password is in a URL, an argument or a variable: PostgreSQL's clients read PGPASSFILE, Airflow asks `cat` for the
address of its broker, Redis reads its own file; all three are readable by their owner only.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings

# What belongs to the stack carries these two in its environment; pipeline/stack.py says why.
STACK, PROGRAM = "CLOSECAST_STACK", "CLOSECAST_PROGRAM"
NAMES = ("postgres", "redis")
USER = "closecast"  # who owns both databases
DATABASES = ("airflow", "mlflow")
POSTGRES_ACCOUNT = "postgres"  # of the system: PostgreSQL refuses to run as root
DEBIAN = "/usr/lib/postgresql"  # <version>/bin, which is on nobody's PATH
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
# A message that was sent must outlive a killed server: each one is on the disk before its sender is answered.
appendonly yes
appendfsync always
save ""
# A title written over the environment would hide the process from `make down-cluster`.
set-proc-title no
"""


def database_url(settings: Settings, name: str) -> str:
    """Return the URL of a database, without a password."""
    return f"postgresql+psycopg2://{USER}@127.0.0.1:{settings.postgres_port}/{name}"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which clients find the servers and their passwords; no password is among them."""
    var = settings.var_dir
    return {
        "PGPASSFILE": str(var / "postgres.pass"),
        "PGDATA": str(var / "postgres" / "data"),
        "AIRFLOW__CELERY__BROKER_URL_CMD": f"cat {shlex.quote(str(var / 'redis' / 'url'))}",
    }


def commands() -> dict[str, str]:
    """Return how supervisord starts the servers, which `prepare` has prepared.

    Raises:
        PipelineError: when one of them is not installed.
    """
    return {
        "postgres": shlex.quote(_installed("postgres")),
        "redis": f"{shlex.quote(_installed('redis-server'))} '%(ENV_{STACK})s/redis/redis.conf'",
    }


def prepare(settings: Settings) -> None:
    """Create passwords, configuration, and an empty PostgreSQL; what is there already is kept, but for the ports.

    Raises:
        PipelineError: when a server is not installed, or PostgreSQL cannot be initialised.
    """
    commands()
    redis = settings.var_dir / "redis"
    redis.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(redis / "password", secrets.token_urlsafe(32))
    password = (redis / "password").read_text()
    url = f"redis://:{password}@127.0.0.1:{settings.redis_port}/0"
    write_secret(redis / "url", url, anew=True)
    write_secret(redis / "redis.conf", REDIS_CONF.format(port=settings.redis_port, password=password), anew=True)
    _initialise_postgres(settings)


@contextlib.contextmanager
def postgres_for_a_moment(settings: Settings) -> Iterator[None]:
    """Run PostgreSQL as long as the block lasts, with both databases in it: nothing else of the stack runs yet.

    Raises:
        PipelineError: when it does not start.
    """
    marked = environment(settings) | {STACK: str(settings.var_dir), PROGRAM: "postgres"}  # `down` must find it
    _run(settings, "pg_ctl", "start", "--wait", "--silent", marked=marked)
    try:
        for name in DATABASES:
            words = f"--host 127.0.0.1 --port {settings.postgres_port} --username {USER} --no-password".split()
            _create_database(settings, [_installed("createdb"), *words, name])
        yield
    finally:
        _run(settings, "pg_ctl", "stop", "--wait", "--silent", "--mode=fast", marked=marked)


def drop_root() -> None:
    """Become the system's account for PostgreSQL, where this process is root."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(POSTGRES_ACCOUNT)
        os.chdir("/")  # PostgreSQL wants to come back to where it was started
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)


def write_secret(path: Path, text: str, *, anew: bool = False) -> None:
    """Write a file for its owner only, never half of it; one that is there stays, unless it is written `anew`."""
    if anew or not path.exists():
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        new.touch(0o600)
        new.write_text(text)
        new.replace(path)


def _initialise_postgres(settings: Settings) -> None:
    place, passwords = settings.var_dir / "postgres", settings.var_dir / "postgres.pass"
    write_secret(passwords, f"127.0.0.1:*:*:{USER}:{secrets.token_urlsafe(32)}\n")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    data, half, password = place / "data", place / "half", place / "password"
    if not data.exists():
        if half.exists():
            shutil.rmtree(half)  # initdb was killed
        write_secret(password, passwords.read_text().rpartition(":")[2], anew=True)
        for path in (place, password):
            if os.geteuid() == 0:
                shutil.chown(path, POSTGRES_ACCOUNT, POSTGRES_ACCOUNT)
        options = f"--username={USER} --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8".split()
        _run(settings, "initdb", *options, f"--pwfile={password}", f"--pgdata={half}")
        password.unlink()
        half.rename(data)
    (data / "postgresql.conf").write_text(POSTGRESQL_CONF.format(port=settings.postgres_port))


def _run(settings: Settings, program: str, *words: str, marked: dict[str, str] | None = None) -> None:
    """Run one of PostgreSQL's own programs, as an account that it accepts."""
    log = settings.var_dir / "log" / "postgres-setup.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    account = POSTGRES_ACCOUNT if os.geteuid() == 0 else None
    with log.open("ab") as out:
        done = subprocess.run(
            [_installed(program), *words],
            env=os.environ | (marked or {}),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,  # no pipe: the server that pg_ctl leaves behind would keep it open
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
            f"Read {log}. As root, the account {POSTGRES_ACCOUNT} must get through to {settings.var_dir} (chmod o+x).",
        )


def _create_database(settings: Settings, command: list[str]) -> None:
    done = subprocess.run(
        command, env=os.environ | environment(settings), capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode and "already exists" not in done.stderr:
        raise PipelineError("PostgreSQL must create a database.", done.stderr[:200], "Read the log in var/log.")


def _installed(program: str) -> str:
    """Return the path of a server's program, the newest where Debian has several."""
    versions = sorted(
        Path(DEBIAN).glob(f"*/bin/{program}"), key=lambda path: int("0" + path.parts[-3].partition(".")[0])
    )
    found = str(versions[-1]) if versions else shutil.which(program)
    if not found:
        raise PipelineError(
            "The cluster needs PostgreSQL and Redis on this machine.",
            f"no {program}",
            "apt-get install postgresql redis-server (Debian, Ubuntu), then again. Their own services may stay off.",
        )
    return found
