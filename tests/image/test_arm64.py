"""Both architectures decide alike. arm64 is emulated: right or wrong, but never how fast.

The emulator is told which processor to be, a Raspberry Pi 4's. onnxruntime asks
/proc/cpuinfo what it runs on, and qemu 7.2 shows it that of the host: a text that is none
of its own would crash it, so the container gets a fitting one.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.image.podman import AMD64, ARM64, podman

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]
HERE = Path(__file__).parent
CONFIDENCE = 0.05
"""As far as the bundle's golden frames let another processor stray. OpenCV resizes by other
instructions there; of boxes in doubt the confidence was seen to differ by 0.045."""
PIXELS = 1.0


def decided(image: str, *flags: str) -> list[dict[str, Any]]:
    """What an image decides on the golden frames of its bundle."""
    script = (HERE / "decisions.py").read_text(encoding="utf-8")
    words = ("run", "--rm", "--interactive", "--pull=never", *flags, "--entrypoint=python")
    done = podman(*words, image, "-", timeout_s=600, text=script)
    return [json.loads(line) for line in done.stdout.splitlines()]


def emulated() -> list[str]:
    cpuinfo = f"--volume={HERE / 'cpuinfo-arm64'}:/proc/cpuinfo:ro"
    return ["--env=QEMU_CPU=cortex-a72", cpuinfo]


def test_arm64_decides_on_the_golden_frames_as_amd64_does(flags: list[str]) -> None:
    ours, theirs = decided(AMD64, *flags), decided(ARM64, *flags, *emulated())
    assert len(ours) >= 8
    assert len({frame["action"] for frame in ours}) > 1, "all alike would prove little"
    assert [frame["image"] for frame in ours] == [frame["image"] for frame in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert (one["action"], one["reason"]) == (other["action"], other["reason"]), one["image"]
        assert len(one["detections"]) == len(other["detections"])
        for box, twin in zip(one["detections"], other["detections"], strict=True):
            assert box["label"] == twin["label"]
            assert box["confidence"] == pytest.approx(twin["confidence"], abs=CONFIDENCE)
            assert box["box_xyxy"] == pytest.approx(twin["box_xyxy"], abs=PIXELS)


def test_arm64_starts_and_says_its_version(flags: list[str]) -> None:
    done = podman(
        "run", "--rm", "--pull=never", *flags, *emulated(), ARM64, "--version", timeout_s=300
    )
    amd64 = podman("run", "--rm", "--pull=never", *flags, AMD64, "--version")
    assert done.stdout == amd64.stdout != ""
