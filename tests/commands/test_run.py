"""`visionedge run` as its user meets it: exit codes, errors, signals, the summary."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.running import BUNDLE

pytestmark = pytest.mark.timeout(90)


def run(folder: Path, *arguments: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*_command(folder, settings), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=_environment(),
        check=False,
    )


def _command(folder: Path, settings: dict[str, object]) -> list[str]:
    document = {
        "models": {"default": {"path": BUNDLE}},
        "spool": {"path": str(folder / "spool.db")},
        "uplink": {"kind": "local", "local_path": str(folder / "outbox")},
        "http": {"port": 0},
        **settings,
    }
    config = folder / "settings.json"
    config.write_text(json.dumps(document))
    return [sys.executable, "-m", "visionedge", "run", "--config", str(config)]


@contextmanager
def _working(folder: Path, **settings: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A module that looks at frames; ended by SIGTERM where it still runs."""
    command = [*_command(folder, settings), "--status"]
    module = subprocess.Popen(command, stdout=subprocess.PIPE, env=_environment())
    assert module.stdout is not None
    try:
        for line in module.stdout:
            if b"processed" in line and b"processed 0" not in line:
                break
        yield module
    finally:
        module.send_signal(signal.SIGTERM)
        module.communicate(timeout=20)


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("IOTEDGE_")}


def test_a_run_ends_by_itself_and_tells_how_it_went(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    done = run(tmp_path, "--seconds", "4", "--status", "--summary", str(summary))
    assert done.returncode == 0, done.stderr
    assert "capture to decision" in done.stdout
    assert "escalations lost" in done.stdout
    assert "  camera" not in done.stdout
    assert done.stderr.count("first decision") == 1
    frames = json.loads(summary.read_text())["frames"]
    assert 0 < frames["processed"] <= frames["captured"]


def test_a_camera_that_gives_nothing_is_in_the_status_line_and_the_summary(tmp_path: Path) -> None:
    pictures = tmp_path / "none"
    pictures.mkdir()
    summary = tmp_path / "summary.json"
    done = run(
        tmp_path, "--seconds", "4", "--status", "--summary", str(summary), "--source", str(pictures)
    )
    assert done.returncode == 0
    assert "waiting 0  online  camera none lost\n" in done.stdout
    assert "             cameras  none lost\n" in done.stdout
    assert json.loads(summary.read_text())["cameras"] == {"none": "lost"}


def test_what_waits_to_be_sent_is_in_the_summary_too(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    done = run(
        tmp_path, "--seconds", "6", "--status", "--summary", str(summary),
        uplink={"kind": "local", "local_path": str(tmp_path / "outbox"), "window": 1},
        # All that is seen, so that a busy machine comes to see enough.
        decision={"accept": 1.0},
        escalation={
            "min_interval_s": 0.1, "view_wait_s": 0, "one_per_object": False,
            "second": {"enabled": False},
        },
    )  # fmt: skip
    asked = json.loads(summary.read_text())["escalations"]
    assert asked["unanswered"] == 1
    assert asked["unsent"] == asked["decided"] - 1 > 0
    assert f"{asked['decided']} (kept in the spool, {asked['unsent']} not sent yet)" in done.stdout


def test_a_package_that_is_missing_is_named_with_the_mend() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from visionedge.__main__ import main\n"
        "sys.exit(main(['predict', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "visionedge: numpy is not installed (pip install '.[edge]')\n"


def test_a_wrong_setting_ends_with_2_and_names_its_field(tmp_path: Path) -> None:
    done = run(tmp_path, decision={"accept": 3})
    assert done.returncode == 2
    assert "decision.accept" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_model_is_named_with_the_mend(tmp_path: Path) -> None:
    done = run(tmp_path, models={"default": {"path": "models/none-such"}})
    assert done.returncode == 2
    assert "models/none-such" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named_with_the_mend(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(tmp_path, http={"port": port})
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr


def test_a_settings_file_that_is_missing_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "--config", str(tmp_path / "none.json"))
    assert done.returncode == 2
    assert "none.json" in done.stderr


def test_sigterm_ends_it_with_0_and_drains_into_the_outbox(tmp_path: Path) -> None:
    with _working(tmp_path, telemetry={"interval_s": 3600}) as module:
        pass
    assert module.returncode == 0
    # The last window is closed and sent on the way out.
    assert list((tmp_path / "outbox").glob("telemetry-*.jsonl"))


def test_an_option_that_is_no_time_is_named_before_anything_runs(tmp_path: Path) -> None:
    for option, value in (("--seconds", "nan"), ("--seconds", "-4"), ("--grace", "inf")):
        done = run(tmp_path, option, value)
        assert done.returncode == 2
        assert f"{option} {value} is no time" in done.stderr
        assert "visionedge starts" not in done.stderr


def test_a_summary_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--summary", str(tmp_path / "none" / "summary.json"))
    assert done.returncode == 2
    assert "--summary: cannot write" in done.stderr
    assert "visionedge starts" not in done.stderr


def test_an_unknown_camera_source_says_what_it_is_not(tmp_path: Path) -> None:
    done = run(tmp_path, "--source", "no-such-video.mp4", "--seconds", "3", "--status")
    # A camera that is away is no reason to end: it may come back.
    assert done.returncode == 0
    assert "no-such-video.mp4" in done.stderr
    assert "and nothing was captured" in done.stdout
    assert "%" not in done.stdout.split("bytes sent")[1]


def test_a_command_does_not_wait_for_the_imports_of_the_others() -> None:
    code = (
        "import sys; from visionedge.__main__ import main\n"
        "main(['audit', '--ledger', '/nonexistent'])\n"
        "print([name for name in ('onnxruntime', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    code = (
        "import concurrent.futures, sys, threading; from visionedge.__main__ import console\n"
        "concurrent.futures.ThreadPoolExecutor().submit(threading.Event().wait)\n"
        "sys.argv = ['visionedge', 'inspect', '/nowhere']\n"
        "console()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "there is no model at /nowhere" in done.stderr


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"IOTHUB_MODULE_CONNECTION_STRING": "HostName=h;DeviceId=d"}, "lacks ModuleId"),
        ({"IOTEDGE_DEVICEID": "d"}, "the environment lacks IOTEDGE_IOTHUBHOSTNAME"),
    ],
)
def test_a_hub_that_the_environment_does_not_name_is_told_before_anything_is_opened(
    tmp_path: Path, environment: dict[str, str], why: str
) -> None:
    command = _command(tmp_path, {"uplink": {"kind": "auto"}})
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=_environment() | environment,
        check=False,
    )
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "models").exists()


def test_a_second_module_on_one_spool_ends_at_once_until_the_first_one_is_killed(
    tmp_path: Path,
) -> None:
    with _working(tmp_path) as first:
        second = run(tmp_path, "--seconds", "9")
        assert first.poll() is None
        first.kill()
        first.wait(20)
        again = run(tmp_path, "--seconds", "1")
    assert second.returncode == 2
    (said,) = second.stderr.splitlines()
    assert f"works in the folder of {tmp_path / 'spool.db'}" in said
    assert "set spool.path to" in said
    assert first.returncode == -signal.SIGKILL
    assert again.returncode == 0, again.stderr


def test_sigterm_is_heard_while_the_lock_of_what_is_waited_for_is_held() -> None:
    code = (
        "import os, signal; from visionedge.runtime.signals import stop_on_signals\n"
        "stop = stop_on_signals()\n"
        "with stop._cond:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(stop.wait(20))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=True
    )
    assert done.stdout == "True\n"
