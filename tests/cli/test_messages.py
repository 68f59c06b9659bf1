"""Lines while a command works, three lines when it fails."""

import io
import logging
import signal
import subprocess
import sys

import pytest
import typer
from rich.console import Console

from pipeline.cli import messages
from pipeline.errors import DataError, UsageError

SLEEPER = """
import signal, sys, time
from pipeline.cli.messages import end_like_ctrl_c
# The tests may run below nohup, from which this process would inherit that SIGHUP is ignored.
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == "ignored" else signal.SIG_DFL)
end_like_ctrl_c()
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaned up")
"""


@pytest.fixture
def ended(capsys):
    """Return a function that raises an error in a command, and returns exit code, terminal and log file."""

    def end(error):
        with pytest.raises((SystemExit, typer.Exit)) as exited, messages.errors_for_people() as log:
            raise error
        code = exited.value.exit_code if isinstance(exited.value, typer.Exit) else exited.value.code
        return code, capsys.readouterr().err, log

    return end


@pytest.mark.parametrize(("error", "code"), [(UsageError, 2), (DataError, 1)])
@pytest.mark.usefixtures("tiny")
def test_an_error_of_ours_is_three_lines_and_its_traceback_is_in_the_log(ended, error, code):
    """The exit code is that of the error."""
    given, text, log = ended(error("A rule.", "a value", "Do this."))
    assert (given, text) == (code, "A rule.\nReceived: a value\nTo do: Do this.\n")
    assert "Traceback" in log.read_text()
    assert error.__name__ in log.read_text()


def test_a_bug_is_three_lines_that_name_the_log(tiny, ended):
    """A long text is cut: some libraries put a whole table into it."""
    code, text, log = ended(ValueError("x" * 5000))
    assert code == 1
    assert len(text.splitlines()) == 3
    assert f"ValueError: {'x' * 300}\n" in text
    assert str(log) in text
    assert log.is_relative_to(tiny.var_dir / "log")
    assert "x" * 5000 in log.read_text()


@pytest.mark.usefixtures("tiny")
def test_ctrl_c_is_one_line_and_no_failure_of_ours(ended):
    """Exit code 130, as shells expect, and no traceback anywhere."""
    code, text, log = ended(KeyboardInterrupt())
    assert (code, len(text.splitlines())) == (130, 1)
    assert not log.exists()


@pytest.mark.usefixtures("tiny")
def test_an_exit_code_that_a_command_chose_stays(ended):
    """Its results are on the screen already."""
    code, text, log = ended(typer.Exit(1))
    assert (code, text, log.exists()) == (1, "", False)


def test_settings_that_cannot_be_read_leave_no_file_in_the_current_folder(tmp_path, monkeypatch, capsys):
    """Three lines, as every error; they say all that the traceback says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOSECAST_SOURCE", "bloomberg")
    with pytest.raises(SystemExit) as exited, messages.errors_for_people():
        pytest.fail("the command has begun")
    assert exited.value.code == 2
    assert "'bloomberg'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_bug_before_the_log_is_known_shows_its_traceback(tmp_path, monkeypatch, capsys):
    """There is no folder of ours yet that could keep it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.settings.load_settings", lambda: 1 // 0, raising=False)
    with pytest.raises(SystemExit), messages.errors_for_people():
        pytest.fail("the command has begun")
    text = capsys.readouterr().err
    assert "Traceback" in text
    assert text.endswith("To do: report it with the traceback above.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_a_library_misreads_is_refused_at_once(tmp_path, monkeypatch, capsys):
    """MLflow would write into another folder, or end with a traceback in the middle of the first run."""
    monkeypatch.setenv("CLOSECAST_VAR", str(tmp_path / "why?"))
    with pytest.raises(SystemExit) as exited, messages.errors_for_people():
        pytest.fail("the command has begun")
    assert exited.value.code == 2
    assert "why?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_hides_no_error(tmp_path, monkeypatch, ended):
    """A full or read-only disk."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLOSECAST_VAR", str(tmp_path / "file"))
    assert ended(DataError("A rule.", "a value", "Do this."))[:2] == (
        1, "A rule.\nReceived: a value\nTo do: Do this.\n",
    )  # fmt: skip


def test_lines_are_shown_as_they_are_and_only_inside_the_block():
    """A ticker in brackets is no markup."""
    screen = Console(file=io.StringIO(), width=100)
    logger = logging.getLogger("closecast")
    with messages.lines_to(screen):
        logger.info("AAA %s", "[red]: done[/red]")
        logger.debug("a detail")
    logger.info("later")
    (line,) = screen.file.getvalue().splitlines()
    assert line[8:] == " AAA [red]: done[/red]"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_cleans_up_after_a_kill_and_in_a_closed_terminal(number):
    """As after Ctrl-C."""
    with subprocess.Popen([sys.executable, "-c", SLEEPER, ""], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout.readline() == "ready\n"
        command.send_signal(number)
        assert command.communicate(timeout=30)[0] == "cleaned up\n"


def test_a_command_below_nohup_outlives_its_terminal():
    """A signal that is ignored stays ignored."""
    with subprocess.Popen([sys.executable, "-c", SLEEPER, "ignored"], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout.readline() == "ready\n"
        command.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(1)
        command.send_signal(signal.SIGTERM)
        assert command.communicate(timeout=30)[0] == "cleaned up\n"


def test_a_wait_is_announced_to_a_person_and_not_to_a_script(monkeypatch, capsys):
    """A script reads three lines of an error on stderr, and nothing else."""
    messages.announce_wait("Loading")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    messages.announce_wait("Loading")
    assert capsys.readouterr().err == "Loading ...\n"
