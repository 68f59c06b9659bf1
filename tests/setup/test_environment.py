"""`make setup` in throw-away checkouts with few packages: only .venv changes, and it works wherever the checkout is."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support.checkouts import CHECKOUT, make, make_checkout

SCRIPT = CHECKOUT / "setup" / "environment.py"
KEPT = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_PROXY",
    "PIP_CERT",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_CONFIG_FILE",
    "PIP_CACHE_DIR",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_MIRROR_PASSWORD",
    "UV_OFFLINE",
    "UV_NATIVE_TLS",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "UV_KEYRING_PROVIDER",
    "UV_CACHE_DIR",
    "UV_LINK_MODE",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_PYTHON_DOWNLOADS",
    "HTTPS_PROXY",
    "SSL_CERT_FILE",
    "PATH",
    "HOME",
]
DROPPED = [
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_PYTHON",
    "PIP_CONSTRAINT",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_NO_BINARY",
    "PIP_DRY_RUN",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_NO_VERIFY_HASHES",
    "UV_NO_EDITABLE",
    "UV_EXCLUDE_NEWER",
    "UV_NO_BUILD",
    "UV_BREAK_SYSTEM_PACKAGES",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
]
FAKE_PYTHON = """\
#!/bin/sh
case "$3" in
  *executable*) echo "$0" ;;
  *ensurepip*) exit 1 ;;
  *) echo {version} ;;
esac
exit {code}
"""
REPORT = "import pipeline, sys; print('{}', pipeline.__file__, sys.argv[1:])\n"


@pytest.fixture
def environment():
    """Return the script as a module of its own, so that a test may change its constants."""
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def decoys(tmp_path_factory):
    """Return a folder with a virtual environment, a conda environment and foreign packages."""
    home = tmp_path_factory.mktemp("decoys")
    for name in ("active", "conda"):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home / name)], check=True)
    (home / "foreign" / "pipeline").mkdir(parents=True)
    (home / "foreign" / "pipeline" / "__init__.py").write_text("raise SystemExit('a foreign package')\n")
    shutil.copytree(home / "foreign" / "pipeline", home / "foreign" / "typer")
    return home


@pytest.fixture(scope="module")
def hostile(decoys):
    """Return variables that lead Python, pip and uv to other places than .venv."""
    return {
        "VIRTUAL_ENV": str(decoys / "active"),
        "CONDA_PREFIX": str(decoys / "conda"),
        "CONDA_DEFAULT_ENV": "named",
        "PATH": f"{decoys / 'active' / 'bin'}:{decoys / 'conda' / 'bin'}:{os.environ['PATH']}",
        "PIP_TARGET": str(decoys / "pip-target"),
        "PIP_USER": "1",
        "PIP_CONSTRAINT": str(decoys / "missing.txt"),
        "UV_PYTHON": str(decoys / "conda" / "bin" / "python"),
        "UV_SYSTEM_PYTHON": "1",
        "UV_PROJECT_ENVIRONMENT": str(decoys / "active"),
        "UV_CONSTRAINT": str(decoys / "missing.txt"),
        "PYTHONPATH": str(decoys / "foreign"),
        "PYTHONHOME": str(decoys / "no-python"),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory, decoys, hostile):
    """Return a checkout whose .venv was made in such a shell, and the files of the decoys before and after."""
    home = make_checkout(tmp_path_factory.mktemp("made") / "a checkout")
    (home / "pipeline" / "__main__.py").write_text(REPORT.format("first"))
    before = sorted(decoys.rglob("*"))
    done = make(home, "setup", **hostile)
    assert done.returncode == 0, done.stderr
    return home, before, sorted(decoys.rglob("*"))


@pytest.fixture
def copy(made, tmp_path):
    """Return a copy of that checkout, as `cp -a` makes it, with code of its own."""
    home = tmp_path / "copy"
    subprocess.run(["/bin/cp", "-a", str(made[0]), str(home)], check=True)
    (home / "pipeline" / "__main__.py").write_text(REPORT.format("second"))
    return home


def closecast(home, *words, cwd=None, **variables):
    """Run the command of a checkout and return its output."""
    command = [str(home / ".venv" / "bin" / "closecast"), *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd or home, env=os.environ | variables
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ready(home, **variables):
    """Return whether the set-up takes a checkout's .venv for complete."""
    code = "import environment; print(environment.is_ready())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=home / "setup", env=os.environ | variables
    )
    return done.stdout.strip() == "True"


def test_only_the_venv_of_the_checkout_is_touched(made):
    """Another environment is active, and PIP_*, UV_*, PYTHON* of the shell name other places."""
    home, before, after = made
    assert len(before) > 20
    assert after == before
    assert "first" in closecast(home)
    assert list(home.glob(".venv/lib/python3.*/site-packages/hatchling"))
    assert (home / ".venv" / "bin" / "uv").exists()
    assert not (home / ".venv" / "setup").exists()


def test_a_second_setup_changes_nothing(made):
    """It neither installs nor prints anything."""
    home, *_ = made
    stamp = (home / ".venv" / "ready").stat().st_mtime_ns
    done = make(home, "setup", PIP_INDEX_URL="http://127.0.0.1:9/", UV_DEFAULT_INDEX="http://127.0.0.1:9/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (home / ".venv" / "ready").stat().st_mtime_ns == stamp


def test_the_command_ignores_packages_of_the_shell_and_of_the_current_folder(made, decoys):
    """A foreign `pipeline` on PYTHONPATH or in the folder, PYTHONHOME of another Python; children inherit neither."""
    home, *_ = made
    foreign = str(decoys / "foreign")
    said = closecast(home, "a b", cwd=foreign, PYTHONPATH=foreign, PYTHONHOME="/no/python")
    assert said == f"first {home / 'pipeline' / '__init__.py'} ['a b']\n"
    (home / "pipeline" / "__main__.py").write_text("import os; print(sorted(x for x in os.environ if 'PYTHON' in x))\n")
    inherited = closecast(home, PYTHONPATH=foreign, PYTHONHOME="/no/python")
    (home / "pipeline" / "__main__.py").write_text(REPORT.format("first"))
    assert "PYTHONSAFEPATH" in inherited
    assert "PYTHONPATH" not in inherited
    assert "PYTHONHOME" not in inherited


def test_make_passes_neither_pythonpath_nor_pythonhome_on(tmp_path):
    """Tests, lint and bench start .venv/bin/python directly; make's own calls of Python ignore both."""
    (tmp_path / "python").write_text('#!/bin/sh\necho "<$PYTHONPATH$PYTHONHOME>"\n')
    (tmp_path / "python").chmod(0o755)
    variables = {"PYTHONPATH": "/foreign", "PYTHONHOME": "/no/python"}
    done = make(CHECKOUT, "-o", ".venv/ready", "bench", f"BIN={tmp_path}", **variables)
    assert "<>" in done.stdout
    (tmp_path / "python").rename(tmp_path / "closecast")
    (tmp_path / "closecast").write_text('#!/bin/sh\necho "$@"\n')
    run = make(CHECKOUT, "-o", ".venv/ready", "run", f"BIN={tmp_path}", "TICKERS=NFLX", **variables)
    assert "--tickers NFLX" in run.stdout, run.stderr
    helped = make(CHECKOUT, "help", **variables)
    assert (helped.returncode, "TICKERS=A,B" in helped.stdout) == (0, True), helped.stderr


def test_a_copied_checkout_runs_its_own_code(made, copy):
    """The command itself, without make; the original stays as it is."""
    assert closecast(copy) == f"second {copy / 'pipeline' / '__init__.py'} []\n"
    assert "first" in closecast(made[0])
    assert ready(copy)


def test_a_moved_checkout_works(copy, tmp_path):
    """Each script of .venv finds its Python at the new place, also where the path has spaces."""
    home = copy.rename(tmp_path / "a moved checkout")
    assert closecast(home) == f"second {home / 'pipeline' / '__init__.py'} []\n"
    subprocess.run([str(home / ".venv" / "bin" / "hatchling"), "--help"], check=True, capture_output=True)
    assert ready(home)


def _lose_command(home):
    (home / ".venv" / "bin" / "closecast").unlink()


def _lose_interpreter(home):
    (home / ".venv" / "bin" / "python").unlink()
    (home / ".venv" / "bin" / "python").symlink_to("/no/python3.11")


def _interrupt(home):
    (home / ".venv" / "ready").unlink()


def _point_elsewhere(home):
    (path_file,) = home.glob(".venv/lib/python3.*/site-packages/*closecast.pth")
    path_file.write_text(f"{CHECKOUT}\n")


def _change_lock(home):
    with (home / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")


@pytest.mark.parametrize("damage", [_lose_command, _lose_interpreter, _interrupt, _point_elsewhere, _change_lock])
def test_a_venv_that_is_damaged_or_out_of_date_is_noticed(copy, damage):
    """Each of these made `make run` fail for ever, or run the code of another checkout."""
    assert ready(copy)
    damage(copy)
    assert not ready(copy)


def test_a_half_made_venv_is_made_again(copy):
    """After a Ctrl-C nothing in it can be trusted: no file of it stays."""
    _interrupt(copy)
    _lose_interpreter(copy)
    rest = copy / ".venv" / "lib" / "half-installed.py"
    rest.touch()
    done = make(copy, "setup")
    assert done.returncode == 0, done.stderr
    assert not rest.exists()
    assert "second" in closecast(copy)
    assert ready(copy)


def test_a_changed_lock_updates_a_whole_venv(copy):
    """What the lock lacks goes; the rest is not installed again."""
    kept = copy / ".venv" / "lib" / "kept.py"
    kept.touch()
    (hatchling,) = copy.glob(".venv/lib/python3.*/site-packages/hatchling/__init__.py")
    before = hatchling.stat().st_ino
    lock = copy / "requirements.lock"
    lock.write_text(re.sub(r"(?m)^iniconfig==(?:.*\\\n)*.*\n", "", lock.read_text()))
    done = make(copy, "setup")
    assert done.returncode == 0, done.stderr
    assert ready(copy)
    assert kept.exists()
    assert hatchling.stat().st_ino == before
    assert not list(copy.glob(".venv/lib/python3.*/site-packages/iniconfig"))


def test_a_link_to_another_folder_is_replaced_and_the_folder_kept(environment, tmp_path):
    """`.venv` may be a link to an environment of the user."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (tmp_path / ".venv").symlink_to("theirs")
    environment.remove(tmp_path / ".venv")
    assert (tmp_path / "theirs" / "file").exists()
    assert not (tmp_path / ".venv").exists()


def test_variables_that_reach_a_package_index_are_kept(environment, monkeypatch):
    """A company's mirror, proxy and certificates stay in force."""
    for name in (*KEPT, *DROPPED, "PIP_USER"):
        monkeypatch.setenv(name, "1")
    clean = environment.clean_environment()
    assert [name for name in KEPT if name not in clean] == []
    assert [name for name in DROPPED if name in clean] == []
    assert clean["PIP_USER"] == "0"


@pytest.mark.parametrize("name", ["target", "prefix"])
def test_a_settings_file_of_uv_that_names_another_folder_is_refused(environment, monkeypatch, tmp_path, name):
    """`uv pip sync` would install there, and remove other packages."""
    uv = str(CHECKOUT / ".venv" / "bin" / "uv")
    (tmp_path / "uv.toml").write_text(f'[pip]\n{name} = "{tmp_path}/theirs"\n')
    environment.refuse_other_places(uv)
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    with pytest.raises(SystemExit, match=f"with {name} = {tmp_path}/theirs\n"):
        environment.refuse_other_places(uv)


def test_supported_versions_are_those_of_the_project(environment):
    """3.11 to 3.13."""
    assert environment.fit_versions() == [(3, 11), (3, 12), (3, 13)]
    assert environment.allowed() == "Python 3.11 to 3.13"


def _fake(folder, name, version, code=0):
    """Write a program that answers as a Python of this version, or fails."""
    program = folder / name
    program.write_text(FAKE_PYTHON.format(version=version, code=code))
    program.chmod(0o755)
    return str(program)


def test_a_fit_python_is_found_on_path(environment, monkeypatch, tmp_path):
    """python3 is too old, python3.13 is a shim that only fails, python3.12 is named but 3.10."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment.sys, "executable", _fake(tmp_path, "python3", "3 9"))
    assert environment.fit_python() is None
    _fake(tmp_path, "python3.13", "3 13", code=127)
    _fake(tmp_path, "python3.12", "3 10")
    assert environment.fit_python() is None
    fit = _fake(tmp_path, "python3.11", "3 11")
    assert environment.fit_python() == fit
    newer = _fake(tmp_path, "python3.13", "3 13")
    assert environment.fit_python() == newer
    monkeypatch.setattr(environment.sys, "executable", fit)
    assert environment.fit_python() == fit


@pytest.mark.parametrize("code", [0, 2])
def test_without_a_fit_python_uv_fetches_one(environment, monkeypatch, tmp_path, capfd, code):
    """One line says so. If uv cannot, for example without a network, three lines follow its message."""
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "<$*>"\nexit {code}\n')
    uv.chmod(0o755)
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(environment.sys, "executable", "/usr/bin/python3")
    if code:
        with pytest.raises(SystemExit, match=r"^Closecast needs Python 3.11 to 3.13.\nReceived: .*\nTo do: .*3\.13$"):
            environment.make_venv(str(uv), None)
    else:
        environment.make_venv(str(uv), None)
    first, second = capfd.readouterr().out.splitlines()
    assert first.startswith("/usr/bin/python3 is Python 3.9, and Closecast needs Python 3.11 to 3.13:")
    assert "Python 3.13, which uv finds or fetches" in first
    assert "--python 3.13 " in second


def test_without_ensurepip_the_message_names_the_package(environment, monkeypatch, tmp_path):
    """Debian and Ubuntu ship it apart."""
    monkeypatch.setattr(environment.sys, "executable", _fake(tmp_path, "python3", "3 11"))
    with pytest.raises(SystemExit, match="apt-get install python3-venv") as stopped:
        environment.install_uv(tmp_path / "tools", environment.sys.executable)
    assert len(str(stopped.value).splitlines()) == 3
    assert not (tmp_path / "tools").exists()


def test_without_any_python_the_message_names_the_packages():
    """Before anything starts."""
    done = make(CHECKOUT, "setup", "PYTHON=no-such-python")
    assert done.returncode == 2
    assert "Received: no no-such-python on PATH" in done.stdout
    assert "apt-get install python3 python3-venv" in done.stdout


def test_the_script_is_written_for_old_pythons():
    """Python 3.6 of some systems must be able to read it."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))
    assert "capture_output" not in SCRIPT.read_text()


def test_every_command_of_uv_names_the_venv():
    """Without --python it works on the environment that is active in the shell. Docs and messages count too."""
    files = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "Makefile"]
    files += [*(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "pipeline").rglob("*.py")]
    found = 0
    for file in files:
        for command in re.findall(r"uv pip (?:install|sync|uninstall)[^\n]*", file.read_text()):
            found += 1
            assert "--python .venv/bin/python" in command, f"{file.name}: {command}"
    assert found > 4


def test_the_readmes_way_to_serve_a_model_finds_uvicorn():
    """`mlflow models serve` starts it by its name."""
    block = re.search(
        r"(?m)^    export MLFLOW_TRACKING(?:.*\n)+?.*models serve.*\n", (CHECKOUT / "README.md").read_text()
    )
    lines = [line.strip() for line in block.group().splitlines()]
    exports = [line for line in lines if line.startswith("export PATH")]
    command = "\n".join([*exports, "command -v uvicorn mlflow"])
    done = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=CHECKOUT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(CHECKOUT / ".venv" / "bin" / name) for name in ("uvicorn", "mlflow")]
