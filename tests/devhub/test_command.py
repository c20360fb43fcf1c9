"""The `devhub` command: a hub in one process, words from others."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient, Message, MethodResponse

from devhub.__main__ import main
from devhub.commands import COMMANDS
from devhub.faults import FAULT_NAMES
from devhub.rows import MOMENTS, ROWS

DEADLINE_S = 20
Words = Callable[..., str]


class Hub:
    """A `devhub start` in a process of its own."""

    def __init__(self, control: Path, *options: str) -> None:
        self.control = control
        words = [sys.executable, "-m", "devhub", "--control", str(control), "start", *options]
        # What a killed hub leaves behind goes with the folder of its control socket.
        environment = {**os.environ, "TMPDIR": str(control.parent.parent)}
        self.running = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )
        self.wait_for("In another shell")

    def wait_for(self, text: str) -> str:
        """The next line of the hub's terminal with that text."""
        assert self.running.stdout
        for line in self.running.stdout:
            if text in line:
                return line
        raise AssertionError(f"the hub ended and never printed {text!r}")

    def type_in(self, line: str) -> None:
        """Types a line into the hub's terminal."""
        assert self.running.stdin
        self.running.stdin.write(line + "\n")


def new_control() -> Iterator[Path]:
    """A path for a socket; pytest's own folders are too long for one on some machines."""
    with TemporaryDirectory(prefix="dh-") as folder:
        yield Path(folder) / "new" / "control.sock"


control = pytest.fixture(new_control)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    """One hub for all tests that leave it as it was."""
    for path in new_control():
        hub = Hub(path, "--module", "visionedge", "--module", "sidecar", "--verify", "0")
        yield hub
        hub.running.terminate()
        hub.running.communicate(timeout=DEADLINE_S)
        assert hub.running.returncode == 0
        assert not path.exists()


@pytest.fixture
def devhub_says(hub: Hub, capsys: pytest.CaptureFixture[str]) -> Words:
    """Runs a command that must succeed and returns what it printed."""

    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(["--control", str(hub.control), *words]) == 0
        return capsys.readouterr().out

    return run


def test_a_module_is_pointed_at_the_hub_and_driven_from_another_shell(
    hub: Hub, devhub_says: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in devhub_says("env").splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, *shlex.split(value))
    client: Any = IoTHubModuleClient.create_from_edge_environment()

    def answer(request: Any) -> None:  # noqa: ANN401 - the SDK ships no types
        client.send_method_response(
            MethodResponse.create_from_method_request(request, 201, request.payload)
        )

    client.on_method_request_received = answer
    message = Message(b'{"a": "\xc3\xa5"}', "m1", "utf-8", "application/json")
    client.send_message_to_output(message, "out")
    client.send_message_to_output(Message(b"\xff\xfe", "m2"), "bytes")
    hub.wait_for("out m1")

    called = json.loads(devhub_says("call", "ping", '{"x": [1]}', "--timeout", "5"))
    assert called == {"status": 201, "payload": {"x": [1]}}
    assert devhub_says("desired", '{"fps": 5, "old": 1}') == "version 2\n"
    assert devhub_says("desired", "--replace", '{"fps": 6}') == "version 3\n"
    assert json.loads(devhub_says("twin"))["desired"] == {"fps": 6, "$version": 3}
    assert client.get_twin()["desired"] == {"fps": 6, "$version": 3}
    (line,) = devhub_says("messages", "--output", "out", "--last", "1").splitlines()
    assert json.loads(line)["body"] == '{"a": "å"}'
    raw = json.loads(devhub_says("messages", "--output", "bytes", "--whole"))
    assert raw["body_base64"] == "//4="
    assert devhub_says("send", "frames", "hello", "-p", "$.ct=text/plain").startswith("stored")
    client.shutdown()
    hub.wait_for("the client disconnected")


def test_faults_are_set_listed_and_healed(hub: Hub, devhub_says: Words) -> None:
    assert json.loads(devhub_says("fault"))["silent_cloud"] is False
    changed = devhub_says("fault", "silent_cloud", "lose-puback=2", "latency_s=0.5", "no_tls=off")
    assert json.loads(changed) == {"silent_cloud": True, "lose_puback": 2, "latency_s": 0.5}
    hub.wait_for("silent_cloud=True")
    assert devhub_says("heal") == "no faults\n"
    devhub_says("cut")
    assert json.loads(devhub_says("status"))["faults"] == {"refuse_tcp": True}
    devhub_says("restore")
    for word in ("drop", "lose-sessions", "rotate-ca"):
        assert "dropped" in devhub_says(word)
    assert json.loads(devhub_says("status"))["faults"] == {}


def test_rows_of_the_behaviour_table_are_listed_and_happen(devhub_says: Words) -> None:
    listed = [line.split()[0] for line in devhub_says("row").splitlines()]
    assert listed == [*ROWS]
    assert devhub_says("row", "hub-recreated").endswith(": done\n")
    assert '{"lose_puback": true}' in devhub_says("row", "lost-puback")
    devhub_says("heal")


def test_a_script_is_played_by_a_hub_that_runs(
    hub: Hub,
    devhub_says: Words,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The hub runs in another folder.
    monkeypatch.chdir(tmp_path)
    Path("storm.toml").write_text("[[step]]\nat = 0\nfor = 0.05\nrow = 'latency'\n")
    assert devhub_says("play", "storm.toml") == "plays 1 step\n"
    hub.wait_for("latency_s=0.3")
    hub.wait_for("none")
    assert main(["--control", str(hub.control), "play", "nothing.toml"]) == 1
    assert (
        f"devhub: {tmp_path / 'nothing.toml'} cannot be read: No such file"
        in capsys.readouterr().err
    )


def test_a_script_is_played_from_the_start(control: Path, tmp_path: Path) -> None:
    script = tmp_path / "storm.json"
    script.write_text('{"every": 0.1, "step": [{"at": 0, "for": 0.05, "row": "latency"}]}')
    hub = Hub(control, "--script", str(script))
    for change in ("latency_s=0.3", "none") * 2:
        hub.wait_for(change)
    hub.type_in("stop")
    hub.running.communicate(timeout=DEADLINE_S)
    assert hub.running.returncode == 0


def test_a_script_that_cannot_be_played_starts_no_hub(
    control: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "storm.toml"
    script.write_text("[[step]]\nrow = 'lost-puback'\n")
    assert main(["--control", str(control), "start", "--script", str(script)]) == 1
    assert f"{script}: step 1: `at` is missing" in capsys.readouterr().err


def test_ctrl_c_ends_a_command_that_waits_in_one_line() -> None:
    with TemporaryDirectory(prefix="dh-") as folder, socket.socket(socket.AF_UNIX) as silent:
        control = Path(folder) / "control.sock"
        silent.bind(str(control))
        silent.listen()
        command = [sys.executable, "-m", "devhub", "--control", str(control), "status"]
        waiting = subprocess.Popen(command, stderr=subprocess.PIPE)
        asked, _ = silent.accept()
        with asked:
            asked.recv(100)  # It waits for the answer now.
            waiting.send_signal(signal.SIGINT)
            _, said = waiting.communicate(timeout=DEADLINE_S)
    assert waiting.returncode == 130
    assert said.decode().strip() == "devhub: stopped by Ctrl-C"


def test_a_file_in_the_place_of_the_control_socket_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("kept")
    assert main(["--control", str(notes), "start", "--quiet"]) == 1
    assert f"{notes} is no socket: give --control another path" in capsys.readouterr().err
    assert notes.read_text() == "kept"


@pytest.mark.parametrize("place", ["notes.txt/control.sock", f"{'long' * 40}.sock"])
def test_a_place_where_no_socket_can_be_is_named(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    assert main(["--control", str(tmp_path / place), "start", "--quiet"]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / place) in said
    assert "give --control" in said


def test_options_that_mean_nothing_are_refused(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["send", "frames", "x", "-p", "text/plain"], ["messages", "-n", "-1"]):
        assert main(["--control", str(hub.control), *words]) == 1
        assert words[-1] in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "301", "soon"])
def test_a_call_waits_for_a_time_that_there_is(
    hub: Hub, capsys: pytest.CaptureFixture[str], seconds: str
) -> None:
    assert main(["--control", str(hub.control), "call", "status", "--timeout", seconds]) == 2
    assert "--timeout" in capsys.readouterr().err


def test_the_env_command_knows_modules_formats_and_development(devhub_says: Words) -> None:
    lines = devhub_says("env", "-m", "sidecar", "--format", "file").splitlines()
    assert "IOTEDGE_MODULEID=sidecar" in lines
    assert devhub_says("env", "--development").startswith("export EdgeHubConnectionString=")


def test_words_can_be_typed_into_the_hub_s_own_terminal(control: Path) -> None:
    hub = Hub(control)
    hub.type_in("desired '{\"fps\": 7}'")
    hub.wait_for("version 2: fps")
    hub.type_in("frob")
    hub.wait_for("invalid choice")
    hub.type_in("desired 'open quote")
    hub.wait_for("No closing quotation")
    hub.type_in("call --help")
    hub.wait_for("usage: devhub call")
    hub.type_in("start")
    hub.wait_for("runs here already")
    hub.type_in("stop")
    hub.running.communicate(timeout=DEADLINE_S)
    assert hub.running.returncode == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["desired", "{bad"], "'{bad' is no JSON"),
        (["desired", "[1]"], "are a JSON object"),
        (["call", "ping"], "takes no methods now"),
        (["twin", "-m", "nobody"], "there are visionedge, sidecar"),
        (["fault", "nothing=1"], "there are refuse_tcp"),
        (["fault", "latency_s=slow"], "latency_s cannot be 'slow'"),
    ],
)
def test_a_command_that_fails_says_why(
    hub: Hub, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert main(["--control", str(hub.control), *words]) == 1
    assert reason in capsys.readouterr().err


def test_a_slip_in_the_words_needs_no_hub(
    control: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--control", str(control), "call"]) == 2
    assert "usage: devhub call" in capsys.readouterr().err


def test_no_hub_is_said_with_the_mend(control: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--control", str(control), "status"]) == 3
    assert "`devhub start` starts one" in capsys.readouterr().err


def test_a_second_hub_does_not_take_the_socket(hub: Hub) -> None:
    words = [sys.executable, "-m", "devhub", "--control", str(hub.control), "start"]
    second = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert second.returncode == 1
    assert "give --control another path" in second.stderr
    assert main(["--control", str(hub.control), "status"]) == 0


def test_a_dead_hub_s_socket_is_taken_over(control: Path) -> None:
    dead = Hub(control)
    dead.running.kill()
    dead.running.communicate(timeout=DEADLINE_S)
    assert control.exists()
    alive = Hub(control, "--env-file", str(control.parent / "env"))
    assert "IOTEDGE_DEVICEID=line-1\n" in (control.parent / "env").read_text()
    assert main(["--control", str(control), "stop"]) == 0
    alive.running.communicate(timeout=DEADLINE_S)
    assert alive.running.returncode == 0


def test_only_this_user_may_reach_the_socket(hub: Hub) -> None:
    assert hub.control.stat().st_mode & 0o777 == 0o600
    assert hub.control.parent.stat().st_mode & 0o777 == 0o700
    assert hub.control.stat().st_uid == os.getuid()


def test_ctrl_c_ends_the_hub_cleanly(control: Path) -> None:
    hub = Hub(control)
    hub.running.send_signal(signal.SIGINT)
    hub.running.communicate(timeout=DEADLINE_S)
    assert hub.running.returncode == 0


def test_the_help_names_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"\n    {word} " in out for word in (*COMMANDS, "start", "stop"))


def test_the_guide_names_every_fault_and_word() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "devhub.md").read_text()
    missing = {name for name in (*COMMANDS, *FAULT_NAMES, *MOMENTS) if name not in guide}
    assert not missing


def test_the_socket_may_be_named_behind_the_command_too(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--control", str(hub.control)]) == 0
    assert main(["env", "--control", str(hub.control), "--format", "file"]) == 0
    assert "IOTEDGE_WORKLOADURI=" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error(hub: Hub) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "devhub", "--control", str(hub.control), "env"]
    with os.fdopen(write) as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0
    assert done.stderr == b""
