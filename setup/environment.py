"""`make setup`: makes .venv from requirements.lock, or brings it up to date. It returns at once if nothing has changed.

It imports the standard library only and runs on Python 3.6 and later, because it also looks for a Python that fits.
Nothing outside of .venv is installed or removed, whatever environment is active in the shell.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NoReturn, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
COMMAND = VENV / "bin" / "closecast"
READY = VENV / "ready"  # written last, removed before each change
# A copied or moved checkout runs its own code: the command finds .venv by its own place.
LAUNCHER = """\
#!/bin/sh
# Only the packages of .venv: PYTHONHOME, PYTHONPATH and the current folder hold those of other programs.
unset PYTHONHOME PYTHONPATH
export PYTHONSAFEPATH=1
exec "$(dirname -- "$(realpath -- "$0")")/python" -m pipeline "$@"
"""
SITE_TO_ROOT = "../../../..\n"  # from .venv/lib/python3.x/site-packages
# The variables of pip and uv that reach a package index or a cache. Others change place or content of an installation.
CONNECTION = re.compile(
    r"(PIP|UV)_.*(INDEX|FIND_LINKS|PROXY|CERT|TLS|HOST|TIMEOUT|RETRIES|KEYRING|CREDENTIALS|OFFLINE|CACHE|CONFIG_FILE"
    r"|NO_CONFIG|CONCURRENT|LINK_MODE|MIRROR|DOWNLOADS|INSTALL_DIR|USE_FEATURE|USE_DEPRECATED)"
)
REDIRECTING = re.compile(r"(PIP|UV|PYTHON|CONDA)_?|VIRTUAL_ENV|__PYVENV_LAUNCHER__")
OLDEST_FOR_UV = (3, 8)


def main() -> None:
    """Make .venv ready."""
    if is_ready():
        return
    with contextlib.suppress(OSError):  # some network disks lock no folder
        fcntl.flock(os.open(str(ROOT), os.O_RDONLY), fcntl.LOCK_EX)  # until this process ends
    if not is_ready():
        build()


def is_ready() -> bool:
    """Return whether .venv is complete, works in this checkout, and was made from the present files."""
    return READY.exists() and READY.read_text() == fingerprint() and works()


def fingerprint() -> str:
    """Return a hash of the files that determine .venv."""
    files = (LOCK, PROJECT, Path(__file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def works() -> bool:
    """Return whether .venv has a living Python that fits, this checkout's package and the command."""
    if not COMMAND.exists() or COMMAND.read_text() != LAUNCHER:
        return False
    package = answer(str(PYTHON), "import pipeline; print(pipeline.__file__)")
    if not package or not Path(package).samefile(str(ROOT / "pipeline" / "__init__.py")):
        return False
    return version_of(str(PYTHON)) in fit_versions()


def build() -> None:
    """Install requirements.lock and this checkout into .venv."""
    python = fit_python()
    complete = READY.exists() and works()
    if not complete:
        remove(VENV)
    else:
        READY.unlink()
    tools = VENV / "setup"
    uv = install_uv(tools, python)
    refuse_other_places(uv)
    if not complete:
        make_venv(uv, python)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(LOCK)])
    run([*install, "--python", str(PYTHON), "--editable", str(ROOT)])
    make_movable()
    remove(tools)
    READY.write_text(fingerprint())


def remove(path: Path) -> None:
    """Remove a folder, or a link to one without the folder behind it."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(str(path))


def fit_versions() -> List[Tuple[int, int]]:
    """Return the versions of Python that pyproject.toml allows, oldest first."""
    bounds = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', PROJECT.read_text())
    assert bounds, "requires-python has another form"  # noqa: S101 - a mistake in this checkout
    return [(3, minor) for minor in range(int(bounds.group(1)), int(bounds.group(2)))]


def allowed() -> str:
    """Return the range of these versions in words."""
    versions = fit_versions()
    return "Python {}.{} to {}.{}".format(*versions[0], *versions[-1])


def fit_python() -> Optional[str]:
    """Return the first Python that fits: this one, or a python3.x on PATH. None if there is none."""
    names = ["python{}.{}".format(*version) for version in reversed(fit_versions())]
    for python in [sys.executable, *filter(None, map(shutil.which, names))]:
        if version_of(python) in fit_versions():
            return os.path.realpath(answer(python, "import sys; print(sys.executable)"))
    return None


def version_of(python: str) -> Optional[Tuple[int, int]]:
    """Return major and minor version, or None if the program does not run."""
    numbers = answer(python, "import sys; print(*sys.version_info[:2])").split()
    return (int(numbers[0]), int(numbers[1])) if numbers else None


def answer(python: str, code: str) -> str:
    """Return the printed line of a program, or "" if it fails."""
    try:
        done = subprocess.run([python, "-I", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode().strip()


def install_uv(folder: Path, python: Optional[str]) -> str:
    """Install uv, checked by its hash in requirements.lock, into a folder of its own, and return its path."""
    has_pip = "import ensurepip, sys; sys.exit(sys.version_info < {})".format(OLDEST_FOR_UV)
    able = [one for one in (os.path.realpath(sys.executable), python) if one and succeeds(one, has_pip)]
    if not able:
        version = "{}.{}".format(*sys.version_info)
        stop(
            "The set-up needs Python 3.8 or later with its modules venv and ensurepip.",
            f"{sys.executable}, Python {version}",
            f"Debian, Ubuntu: `sudo apt-get install python3-venv`. Elsewhere: install {allowed()}. Then repeat make.",
        )
    run([able[0], "-m", "venv", str(folder)])
    entry = re.search(r"^uv==(.*\\\n)*.*\n", LOCK.read_text(), re.MULTILINE)
    assert entry, "requirements.lock has no uv"  # noqa: S101 - a mistake in this checkout
    (folder / "uv.txt").write_text(entry.group())
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--require-hashes", "--target", str(folder / "uv"), "-r", str(folder / "uv.txt")])
    return str(folder / "uv" / "bin" / "uv")


def succeeds(python: str, code: str) -> bool:
    """Return whether the code ends without an error."""
    return subprocess.call([python, "-I", "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def refuse_other_places(uv: str) -> None:
    """Stop if a settings file of uv names another folder: `pip sync` installs there, and removes other packages."""
    show = [uv, "pip", "sync", "--show-settings", "--python", sys.executable, str(LOCK)]
    shown = subprocess.run(show, env=clean_environment(), cwd=str(ROOT), stdout=subprocess.PIPE, check=False).stdout
    named = re.findall(r'^ +(target|prefix): Some\([^"]*"(.*)"', shown.decode(), re.MULTILINE)
    if named:
        stop(
            "Packages are installed into .venv only.",
            "a settings file of uv with {} = {}".format(*named[0]),
            "Remove that line from uv.toml. Or set UV_NO_CONFIG=1, and UV_DEFAULT_INDEX if you need another index.",
        )


def make_venv(uv: str, python: Optional[str]) -> None:
    """Make an empty .venv; its scripts work after a move (`--relocatable`)."""
    version = "{}.{}".format(*fit_versions()[-1])
    if sys.version_info[:2] not in fit_versions():
        mine = "{}.{}".format(*sys.version_info)
        used = python or f"Python {version}, which uv finds or fetches"
        print(f"{sys.executable} is Python {mine}, and Closecast needs {allowed()}: .venv gets {used}.", flush=True)
    command = [uv, "venv", "--quiet", "--allow-existing", "--relocatable", "--python", python or version, str(VENV)]
    if subprocess.call(command, env=clean_environment(), cwd=str(ROOT)):
        stop(
            f"Closecast needs {allowed()}.",
            "{}, and the message of uv above".format(python or sys.version.split()[0]),
            f"Install Python {version}, or name one that is installed: make setup PYTHON=/path/to/python{version}",
        )


def make_movable() -> None:
    """Replace the absolute paths of this checkout in .venv."""
    (path_file,) = VENV.glob("lib/python*/site-packages/*closecast.pth")
    path_file.write_text(SITE_TO_ROOT)
    COMMAND.write_text(LAUNCHER)
    COMMAND.chmod(0o755)


def run(command: List[str]) -> None:
    """Run a command of the set-up, or stop with its exit code."""
    code = subprocess.call(command, env=clean_environment(), cwd=str(ROOT))
    if code:
        stop(
            "Every package of requirements.lock must be installed.",
            "exit code {} of `{}`, with its message above".format(code, " ".join(command)),
            "Check the connection to the package index (PIP_INDEX_URL and UV_DEFAULT_INDEX name another one) and the "
            "room on the disk. Then run make again.",
        )


def clean_environment() -> Dict[str, str]:
    """Return the environment without the variables that lead pip, uv or Python to other places."""
    dropped = {name for name in os.environ if REDIRECTING.match(name) and not CONNECTION.match(name)}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    kept["PIP_USER"] = "0"  # a pip.conf may say `user = true`
    return kept


def stop(rule: str, received: str, todo: str) -> NoReturn:
    """Print an error of three lines and exit."""
    sys.exit(f"{rule}\nReceived: {received}\nTo do: {todo}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
