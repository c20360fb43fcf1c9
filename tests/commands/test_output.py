"""A command whose output cannot be written says so, and is no success."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
FULL = Path("/dev/full")
SAID = [sys.executable, "-m", "visionedge", "audit", "--ledger"]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "egress.jsonl"
    path.touch()
    return path


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_output_is_one_line_and_no_success(ledger: Path) -> None:
    with FULL.open("wb") as full:
        done = subprocess.run([*SAID, ledger], stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.stderr.decode().splitlines() == [
        "visionedge: the output cannot be written: No space left on device (make room, or write it "
        "elsewhere)"
    ]
    assert done.returncode == 1


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_much_output_to_a_full_disk_ends_the_same_way() -> None:
    code = (
        "import sys, visionedge.commands.audit as audit; from visionedge.__main__ import console\n"
        "audit.run = lambda _: print('x' * 10**6)\n"
        "sys.argv = ['visionedge', 'audit']\n"
        "console()"
    )
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, timeout=20
        )
    assert done.stderr.decode().startswith("visionedge: the output cannot be written: No space")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == 1


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("write", "named"),
    [
        ("with open('/dev/full', 'w') as file: file.write('x')", "a file"),
        ("raise OSError(28, 'No space left on device', '/data/x.json')", "/data/x.json"),
    ],
)
def test_a_full_disk_behind_a_file_is_not_told_of_the_output_which_is_not_lost(
    write: str, named: str
) -> None:
    code = (
        "import sys, visionedge.commands.audit as audit; from visionedge.__main__ import console\n"
        "def run(_):\n"
        "    print('what was found')\n"
        f"    {write}\n"
        "audit.run = run\n"
        "sys.argv = ['visionedge', 'audit']\n"
        "console()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == "what was found\n"
    assert done.stderr.splitlines() == [
        f"visionedge: {named} cannot be written: No space left on device (make room; TMPDIR names "
        "the folder of temporary files)"
    ]
    assert done.returncode == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_word_on_stderr(unbuffered: str) -> None:
    code = (
        "import sys, visionedge.commands.audit as audit; from visionedge.__main__ import console\n"
        "audit.run = lambda _: [print('x' * 100) for _ in range(10**5)]\n"
        "sys.argv = ['visionedge', 'audit']\n"
        "console()"
    )
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" | head -1', sys.executable, code],
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"x" * 100 + b"\n"
    assert done.stderr == b""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_no_failure_and_an_error_stays_one(ledger: Path, closed: str) -> None:
    for path, code in ((ledger, 0), (ledger.with_name("none"), 2)):
        words = " ".join([*SAID, str(path)])
        done = subprocess.run(["sh", "-c", f"{words} {closed}"], capture_output=True, timeout=20)
        assert done.returncode == code
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("encoding", "name", "shown"),
    [
        ("latin-1", "b\u00e4lt \u2603".encode(), b"b\xe4lt \\u2603.jpg"),
        ("ascii", "b\u00e4lt".encode(), b"b\\xe4lt.jpg"),
        ("utf-8", b"b\xe4lt", b"b\\udce4lt.jpg"),
    ],
)
def test_a_name_that_the_terminal_cannot_show_is_shown_by_its_numbers(
    encoding: str, name: bytes, shown: bytes, tmp_path: Path
) -> None:
    picture = tmp_path / os.fsdecode(name + b".jpg")
    picture.write_bytes((BUNDLE / "golden" / "board-1.jpg").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "visionedge", "predict", "--model", BUNDLE, picture],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout.splitlines()[0]
