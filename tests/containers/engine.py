"""Containers for real, without Docker's engine: buildah and podman on a stand-in base, in a corner of their own.

The corner is one cache folder (CLOSECAST_TEST_CONTAINERS_CACHE) and one network namespace with nothing but loopback:
the machine's bridges, firewall and /var/lib/containers are never touched. The base has the name of the official one and
Debian's own Python 3.11 inside; images of PostgreSQL and Redis are made from it with Debian's packages.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
IGNORED = shutil.ignore_patterns("__pycache__", "*.env", "*.env.*")
BASE = "docker.io/library/python:3.11-slim-bookworm"
IMAGE = "localhost/closecast:test"
STAND_INS = ("docker.io/library/postgres:16-bookworm", "docker.io/library/redis:7-bookworm")
TOOLS = ("buildah", "podman", "runc", "mmdebstrap", "unshare", "nsenter", "ip")
COPIED = (
    "requirements.lock",
    "pyproject.toml",
    "README.md",
    "closecast.toml",
    "pipeline",
    "dags",
    "expectations",
    "docker",
)
ELSEWHERE = {".env", "compose.yaml", "helm-values.yaml", "make_env.py"}  # in docker/, and not in the image
MACHINE = {  # what the machine needs to reach a package index; the project's Dockerfile names none of it
    "/etc/ssl/certs/ca-certificates.crt": "etc/ssl/certs/ca-certificates.crt",
    "/etc/pip.conf": "etc/pip.conf",
    "/etc/uv/uv.toml": "etc/uv/uv.toml",
}
# static_dir and volume_path must be where `--root` alone would put them: podman's clean-up after a container knows no
# configuration file, and without it each `podman run` waits for 20 s.
CONFIG = """\
[containers]
netns="host"
default_ulimits=["nofile={files}:{files}","nproc=1024:1024"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
static_dir="{cache}/graph/libpod"
volume_path="{cache}/graph/volumes"
tmp_dir="{cache}/tmp"
[network]
network_config_dir="{cache}/net"
"""
STORAGE = """\
[storage]
driver="overlay"
graphroot="{cache}/graph"
runroot="{cache}/run"
"""


@dataclass(frozen=True)
class Engine:
    """Where everything lies, and the process that holds the private loopback."""

    cache: Path
    holder: int

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes podman and buildah look at the cache folder only."""
        names = {
            "CONTAINERS_CONF": "containers.conf",
            "CONTAINERS_STORAGE_CONF": "storage.conf",
            "CONTAINERS_REGISTRIES_CONF": "registries.conf",
        }
        files = {name: str(self.cache / file) for name, file in names.items()}
        return {**files, "TMPDIR": str(self.cache / "work")}  # buildah keeps uv's cache below it

    def tool(self, *words: str, check: bool = True, inside: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of podman's family, on the private loopback unless it must reach a package index."""
        enter = ["nsenter", "-t", str(self.holder), "-n"] if inside else []
        done = subprocess.run(
            [*enter, *words], env=os.environ | self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def run(self, *words: str, options: tuple[str, ...] = (), check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the image as strictly as a user may: no network, nothing writable but /tmp, no capability."""
        strict = (
            "--rm",
            "--no-healthcheck",
            "--network",
            "none",
            "--read-only",
            "--cap-drop",
            "all",
            "--tmpfs",
            "/tmp",  # noqa: S108 - of the container
        )
        return self.tool("podman", "run", *strict, *options, IMAGE, *words, check=check)

    def has(self, image: str) -> bool:
        """Return whether `image` is there."""
        return self.tool("podman", "image", "exists", image, check=False).returncode == 0


def missing() -> str:
    """Return what keeps containers from being built here, or nothing."""
    if sys.platform != "linux":
        return f"Linux, not {sys.platform}"
    if os.geteuid():
        return "root"
    if lacking := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"the tools {', '.join(lacking)} (Debian: buildah podman runc mmdebstrap iproute2)"
    if subprocess.run(
        [shutil.which("unshare") or "unshare", "-n", "true"], check=False, capture_output=True
    ).returncode:
        return "the right to make a network namespace (unshare -n)"
    return ""


def start() -> tuple[Engine, subprocess.Popen[bytes]]:
    """Write the private configuration, open the private loopback, and see that a container runs at all."""
    cache = Path(os.environ.get("CLOSECAST_TEST_CONTAINERS_CACHE", Path.home() / ".cache" / "closecast-containers"))
    for name in ("graph", "run", "tmp", "net", "work"):
        (cache / name).mkdir(parents=True, exist_ok=True)
    (cache / "containers.conf").write_text(
        CONFIG.format(cache=cache, files=min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    )
    (cache / "storage.conf").write_text(STORAGE.format(cache=cache))
    (cache / "registries.conf").write_text("unqualified-search-registries=[]\n")
    command = [
        shutil.which("unshare") or "unshare",
        "-n",
        "bash",
        "-c",
        "ip link set lo up && echo up && exec sleep 7200",
    ]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    return Engine(cache, holder.pid), holder


def make_base(engine: Engine) -> None:
    """Make the stand-in base, once: 60 s."""
    if engine.has(BASE):
        return
    root = engine.cache / "base"
    shutil.rmtree(root, ignore_errors=True)
    packages = "python3,python3-venv,python3-pip,ca-certificates"
    engine.tool(
        "mmdebstrap", "--mode=root", "--variant=minbase", f"--include={packages}", "bookworm", str(root), inside=False
    )
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for source, target in MACHINE.items():
        if Path(source).exists():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / target)
    tar = engine.cache / "base.tar"
    engine.tool("tar", "-C", str(root), "--exclude=./dev/*", "-cf", str(tar), ".")
    certificates = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
    engine.tool("podman", "import", "--change", f"ENV {certificates}", str(tar), BASE)
    tar.unlink()
    shutil.rmtree(root)


def make_stand_ins(engine: Engine) -> None:
    """Make images under the names of PostgreSQL's and Redis' official ones, once: 40 s."""
    if all(engine.has(image) for image in STAND_INS):
        return
    tags = [word for image in STAND_INS for word in ("-t", image)]
    build(engine, HERE / "stand_in", HERE / "stand_in" / "Dockerfile", *tags)


def make_image(engine: Engine, context: Path) -> None:
    """Build the project's own image from `context`, unless the one that is there was made from the same files."""
    paths = [path for name in COPIED for path in (context / name, *(context / name).rglob("*"))]
    files = sorted(path for path in paths if path.is_file() and path.name not in ELSEWHERE)
    text = b"".join(str(path.relative_to(context)).encode() + path.read_bytes() for path in files)
    label = f"closecast.inputs={sha256(text).hexdigest()}"
    made = ("podman", "images", "--quiet", "--no-trunc", "--filter")
    if engine.tool(*made, f"label={label}").stdout.strip():
        return
    old = engine.tool(*made, "label=closecast.inputs").stdout.split()
    build(engine, context, context / "docker" / "Dockerfile", "-t", IMAGE, "--label", label)
    if old:  # 4 GB each
        engine.tool("podman", "rmi", "--force", *set(old), check=False)


def build(engine: Engine, context: Path, dockerfile: Path, *options: str) -> None:
    """Build with buildah; without `--format docker` the health check would be lost."""
    how = ("--isolation", "chroot", "--pull-never", "--layers", "--format", "docker")
    engine.tool("buildah", "bud", *how, *options, "-f", str(dockerfile), str(context), inside=False)
