"""The training is told to a person who has not installed what it needs."""

import importlib.util
import subprocess
import sys

import pytest


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_without_pytorch_the_training_says_where_it_is_had() -> None:
    command = [sys.executable, "-m", "training", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "python -m training: torch is not installed: `make train` has a .venv-train with it\n"
    )
