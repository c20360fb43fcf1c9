"""Ctrl-C ends every command in one line."""

import os
import signal
import subprocess
import sys
from pathlib import Path


def test_ctrl_c_ends_a_command_with_130_and_no_traceback(tmp_path: Path) -> None:
    # It waits for the writer of a pipe, so it is sure to be at work when the signal comes.
    pipe = tmp_path / "ledger"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "visionedge", "audit", "--ledger", str(pipe)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    with pipe.open("w"):  # returns once the command has opened the other end
        running.send_signal(signal.SIGINT)
    # Only now: a signal that comes just before the read does not interrupt it, and its end does.
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert said.decode().strip() == "visionedge: stopped by Ctrl-C"
