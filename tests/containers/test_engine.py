"""The image is built and compose.yaml started for real: on a stand-in base, on a loopback of their own.

Skipped where something is missing, and says what; with REQUIRE_CONTAINERS=1 that is a failure.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.containers import engine as engines
from tests.support.tiny import network_variables

HOME = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PROJECT = "closecast-test"
CANARY = f"canary-{secrets.token_hex(16)}"
UP_SECONDS, RUN_SECONDS = 240, 400
ASK = """
import json, sys, urllib.error, urllib.request
method, url, body, headers = json.load(sys.stdin)
request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    answer = opener.open(request, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode()]))
"""
CONNECT = "import json, sys, psycopg2; psycopg2.connect(**json.load(sys.stdin))"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def engine():
    """Give a private podman and buildah."""
    if reason := engines.missing():
        if os.environ.get("REQUIRE_CONTAINERS"):
            pytest.fail(f"containers are required, and this is missing: {reason}")
        pytest.skip(f"containers need {reason}")
    ours, holder = engines.start()
    yield ours
    ours.tool("podman", "rm", "--all", "--force", "--time", "2", check=False)
    ours.tool("podman", "volume", "prune", "--force", check=False)
    holder.kill()
    holder.wait()


@pytest.fixture(scope="module")
def image(engine, tmp_path_factory):
    """Build the image from a copy of the checkout that has secrets lying about."""
    context = tmp_path_factory.mktemp("context")
    for name in (*engines.COPIED, ".dockerignore"):
        copy = shutil.copytree if (HOME / name).is_dir() else shutil.copy
        copy(HOME / name, context / name, **({"ignore": engines.IGNORED} if (HOME / name).is_dir() else {}))
    engines.make_base(engine)
    names = (".env", "docker/.env", "pipeline/.env", "pipeline/some.env", "pipeline/.env.new", "dags/some.env.new")
    for name in (*names, "var/store/x", ".git/config", "tests/x"):
        path = context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"PASSWORD={CANARY}\n")
    engines.make_image(engine, context)
    return engine


def test_it_runs_as_nobody_special(image):
    """Its own user, root's group, no capability, and no way to write what it runs."""
    assert image.run("id").stdout.startswith("uid=50000(airflow) gid=0(root)")
    done = image.run(
        "sh", "-c", "grep CapEff /proc/self/status; touch /opt/airflow/pipeline/x /opt/venv/x", check=False
    )
    assert "0000000000000000" in done.stdout
    assert done.returncode != 0


def test_the_code_is_root_s_and_the_state_is_the_user_s(image):
    """Also where the file system may be written."""
    look = "find /opt/venv /entrypoint -user airflow | head -1; find /opt/airflow -user airflow"
    owned = set(image.run("sh", "-c", look).stdout.split())
    assert owned == {f"/opt/airflow{folder}" for folder in ("", "/logs", "/var", "/artifacts")}


def test_the_package_is_whole(image):
    """The command, Airflow's plug-in, MLflow's login, the template of the report, the suite; nothing of the tests."""
    assert "Usage: closecast" in image.run("closecast", "--help").stdout
    look = (
        "import importlib.metadata as m, pathlib, pipeline.settings as s\n"
        "points = {(p.group, p.name) for p in m.distribution('closecast').entry_points}\n"
        "assert {('airflow.plugins', 'closecast'), ('mlflow.app', 'closecast-login')} <= points\n"
        "assert s.CHECKOUT == pathlib.Path('/opt/airflow') == s.load_settings().home\n"
        "assert (s.CHECKOUT / 'pipeline/pages/report.html.j2').exists() and s.load_settings().suite_path.exists()\n"
        "assert not (s.CHECKOUT / 'tests').exists()\n"
        "assert 'pytest' not in {d.name for d in m.distributions()}\n"
    )
    image.run("python", "-c", look)


def test_the_entrypoint_stops_without_secrets(image):
    """One line that names them, and no role at all names the roles."""
    done = image.run("scheduler", check=False)
    assert done.returncode == 1
    assert "AIRFLOW__API_AUTH__JWT_SECRET" in done.stderr
    assert "Roles: api-server" in image.run(check=False).stderr


def test_it_has_a_health_check(image):
    """As long as nothing is started, there is nothing to be ill."""
    config = json.loads(image.tool("podman", "image", "inspect", engines.IMAGE).stdout)[0]
    assert config["Healthcheck"]["Test"][-1] == "/opt/airflow/docker/healthy.py"
    assert config["User"] == "50000:0"
    image.run("python", "-I", "/opt/airflow/docker/healthy.py")


def test_no_secret_is_in_a_layer(image):
    """Neither the files that lay about in the checkout, nor a password in the settings or the history."""
    left = "\\( -path '/root/.cache/*' -o -path '/build/*' \\) ! -type d"  # buildah leaves its empty mount points
    names = f"-name .env -o -name .git -o {left}"
    look = f"find / -xdev \\( {names} \\) 2>/dev/null; grep -rl {CANARY} /opt/airflow /etc /root /tmp"
    found = image.run("sh", "-c", look, options=("--user", "0:0"), check=False)
    assert not found.stdout
    config = json.loads(image.tool("podman", "image", "inspect", engines.IMAGE).stdout)[0]
    history = json.dumps([config["Config"]["Env"], config["History"]])
    for word in ("PASSWORD", "SECRET", "TOKEN", "FERNET", CANARY, "index-url"):
        assert word not in history


class Stack:
    """compose.yaml, started."""

    def __init__(self, engine, folder, services):
        self.engine, self.folder, self.services = engine, folder, services
        lines = (folder / ".env").read_text().splitlines()
        self.secrets = dict(line.split("=", 1) for line in lines if not line.startswith("#"))

    def compose(self, *words, check=True):
        """Run podman-compose on the private loopback."""
        command = (str(BIN / "podman-compose"), "-p", PROJECT, "-f", str(self.folder / "compose.yaml"), *words)
        return self.engine.tool(*command, check=check)

    def name(self, service):
        """Return the container of a service."""
        return f"{PROJECT}_{service}_1"

    def healthy(self, service):
        """Run the health check; podman's timers would need systemd."""
        return self.engine.tool("podman", "healthcheck", "run", self.name(service), check=False).returncode == 0

    def wait_healthy(self, *services):
        """Wait until they are all well."""
        deadline = time.monotonic() + UP_SECONDS
        while ill := [service for service in services if not self.healthy(service)]:
            logs = "" if time.monotonic() < deadline else self.logs(ill[0])
            assert time.monotonic() < deadline, f"not healthy: {ill}\n{logs}"
            time.sleep(2)

    def logs(self, service):
        """Return the end of what a service said."""
        done = self.engine.tool("podman", "logs", "--tail", "60", self.name(service), check=False)
        return done.stdout + done.stderr

    def connects(self, **how):
        """Return whether PostgreSQL lets this user in."""
        command = ["nsenter", "-t", str(self.engine.holder), "-n", sys.executable, "-I", "-c", CONNECT]
        given = json.dumps(how | {"host": "127.0.0.1"})
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or "OperationalError" in done.stderr, done.stderr
        return done.returncode == 0

    def ask(self, url, body=None, method=None, **headers):
        """Ask for a page as a browser on this machine would."""
        given = [method or ("POST" if body else "GET"), url, body, {"Content-Type": "application/json", **headers}]
        command = ["nsenter", "-t", str(self.engine.holder), "-n", sys.executable, "-I", "-c", ASK]
        done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def stack(image, tmp_path_factory):
    """Start what compose.yaml says in the order that it says, with the private loopback for a network."""
    engines.make_stand_ins(image)
    folder = tmp_path_factory.mktemp("compose")
    subprocess.run([sys.executable, str(HOME / "docker" / "make_env.py"), str(folder / ".env")], check=True)
    with (folder / ".env").open("a") as file:
        file.write(f'CLOSECAST_IMAGE={engines.IMAGE}\nCLOSECAST_TICKERS=["AAA"]\nCLOSECAST_GPU=off\n')
    config = yaml.safe_load((HOME / "docker" / "compose.yaml").read_text())
    services = {name: dict(service) for name, service in config["services"].items() if "profiles" not in service}
    waits = {name: service.get("depends_on", {}) for name, service in services.items()}
    hosts = [f"{name}:127.0.0.1" for name in services]
    for service in services.values():
        for key in ("ports", "depends_on", "build"):
            service.pop(key, None)
        service |= {"network_mode": "host", "extra_hosts": hosts, "init": False}  # catatonit is not always there
    tiny = network_variables(patience=3)
    services["worker"]["environment"] |= tiny
    (folder / "compose.yaml").write_text(yaml.safe_dump(config | {"services": services}))
    started = Stack(image, folder, services)
    _start_in_order(started, waits)
    yield started
    started.compose("down", "--volumes", "--timeout", "2", check=False)


def _start_in_order(stack, waits):
    """Do what Compose does with `depends_on`; podman 4.3 knows neither of its conditions."""
    done = set()
    while rest := [name for name in stack.services if name not in done]:
        ready = [name for name in rest if set(waits[name]) <= done]
        assert ready, f"a circle: {rest}"
        for name, wait in {n: w for service in ready for n, w in waits[service].items()}.items():
            if wait["condition"] == "service_healthy":
                stack.wait_healthy(name)
            else:
                code = stack.engine.tool("podman", "wait", stack.name(name)).stdout.strip()
                assert code == "0", stack.logs(name)
        stack.compose("up", "--detach", "--no-build", *ready)
        done |= set(ready)


def test_everything_gets_healthy(stack):
    """By the health checks that the image and compose.yaml bring."""
    stack.wait_healthy(*(name for name in stack.services if name != "init"))


def test_redis_and_postgresql_can_do_no_more_than_they_must(stack):
    """Redis is its image's user from the start, PostgreSQL changes to its own in spite of `no-new-privileges`."""
    look = "stat -c %U /proc/1 && grep -E 'CapEff|NoNewPrivs' /proc/1/status"
    for name in ("redis", "postgres"):
        said = stack.engine.tool("podman", "exec", "--user", "0", stack.name(name), "sh", "-c", look).stdout.split()
        assert said == [name, "CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


def test_what_env_sets_reaches_the_tasks_and_nothing_empty_does(stack):
    """CLOSECAST_GPU stands in .env, CLOSECAST_STORE does not."""
    for name in ("worker", "airflow-dag-processor"):
        said = stack.engine.tool("podman", "exec", stack.name(name), "env").stdout.split()
        assert "CLOSECAST_GPU=off" in said
        assert not [line for line in said if line.startswith(("CLOSECAST_STORE", "AWS_", "KERAS_BACKEND"))]


def test_init_may_run_again(stack):
    """As after each `up`: nothing is lost, nothing fails."""
    stack.engine.tool("podman", "start", stack.name("init"))
    assert stack.engine.tool("podman", "wait", stack.name("init")).stdout.strip() == "0", stack.logs("init")


def test_mlflow_asks_for_a_login_and_for_its_own_name(stack):
    """The password of .env and none other; a foreign Host header gets nothing."""
    page, password = "http://127.0.0.1:5000/", stack.secrets["MLFLOW_ADMIN_PASSWORD"]
    login = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
    assert stack.ask(page)[0] == 401
    assert stack.ask(f"{page}api/2.0/mlflow/experiments/search?max_results=1")[0] == 401
    assert stack.ask(page, Authorization="Basic YWRtaW46cGFzc3dvcmQ=")[0] == 401
    assert stack.ask(page, Authorization=login)[0] == 200
    assert stack.ask(page, Authorization=login, Host="evil.example")[0] == 403
    assert stack.ask(f"{page}health") == [200, "OK"]


def airflow(stack, path):
    """Ask Airflow's API as its user."""
    login = {"username": "admin", "password": stack.secrets["AIRFLOW_ADMIN_PASSWORD"]}
    status, text = stack.ask("http://127.0.0.1:8080/auth/token", login)
    assert status == 201
    token = json.loads(text)["access_token"]
    return json.loads(stack.ask(f"http://127.0.0.1:8080/api/v2/{path}", Authorization=f"Bearer {token}")[1])


def test_airflow_asks_for_a_login(stack):
    """The password of .env and none other, and the log says none."""
    assert stack.ask("http://127.0.0.1:8080/api/v2/dags")[0] == 401
    assert stack.ask("http://127.0.0.1:8080/auth/token", {"username": "admin", "password": "admin"})[0] == 401
    assert airflow(stack, "importErrors")["total_entries"] == 0
    assert "Password for user" not in stack.logs("airflow-api-server")


def test_the_databases_are_closed_to_each_other(stack):
    """MLflow's user cannot read Airflow's database, and nobody gets in with a wrong password."""
    own, other = stack.secrets["MLFLOW_DB_PASSWORD"], stack.secrets["AIRFLOW_DB_PASSWORD"]
    assert stack.connects(user="mlflow", dbname="mlflow", password=own)
    assert not stack.connects(user="mlflow", dbname="airflow", password=own)
    assert not stack.connects(user="airflow", dbname="airflow", password=own)
    assert stack.connects(user="airflow", dbname="airflow", password=other)
    done = stack.engine.tool("podman", "exec", "--env", "REDISCLI_AUTH=", stack.name("redis"), "redis-cli", "ping")
    assert "NOAUTH" in done.stdout


def test_no_secret_is_on_a_command_line(stack):
    """`ps` on the host shows every process of every container."""
    lines = "".join(
        path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    )
    assert "redis-server" in lines
    assert not [name for name, value in stack.secrets.items() if len(value) > 20 and value in lines]


def test_a_night_runs_through(stack):
    """The schedule is on: the last session is trained by the Celery worker, and MLflow has the model and its files."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        runs = airflow(stack, "dags/retrain/dagRuns")["dag_runs"]
        if runs and runs[0]["state"] not in {"queued", "running"}:
            break
        assert time.monotonic() < deadline, (runs, stack.logs("worker"))
        time.sleep(3)
    assert [run["state"] for run in runs] == ["success"], stack.logs("worker")
    login = "Basic " + base64.b64encode(f"admin:{stack.secrets['MLFLOW_ADMIN_PASSWORD']}".encode()).decode()
    page = "http://127.0.0.1:5000/api/2.0/mlflow/registered-models/get?name=closecast-AAA"
    model = json.loads(stack.ask(page, Authorization=login)[1])["registered_model"]
    assert model["name"] == "closecast-AAA"
    kept = stack.engine.tool(
        "podman", "exec", stack.name("mlflow"), "find", "/opt/airflow/artifacts", "-name", "MLmodel"
    )
    assert kept.stdout.strip()
