"""The verifier's image: it says what it can, checks its settings, runs, and ends when told to.

With no network, so that neither the event hub nor an identity can be reached: it has to bear
with that, and to stay healthy, as a worker of a cloud that is away does.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.deployment.dockerfile import ROOT
from tests.image.podman import VERIFIER, Container, podman
from tests.support.running import wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
EXAMPLE = ROOT / "cloud/verifier.example.json"
INSIDE = "/etc/verifier/verifier.json"
KEY = "--env=CUSTOM_VISION_KEY=k"
GRACE_S = 60.0
LIMITS = (
    "--init",
    "--network=none",
    "--read-only",
    "--tmpfs=/tmp:rw,noexec,nosuid,size=16m",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--memory=256m",
    "--memory-swap=256m",
    "--pids-limit=128",
)


def said(*words: str, flags: Sequence[str] = ()) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command of the image."""
    done = podman("run", "--rm", "--pull=never", *LIMITS, *flags, VERIFIER, *words, check=False)
    return done.returncode, done.stdout, done.stderr


def mounted(settings: Path) -> str:
    return f"--volume={settings}:{INSIDE}:ro"


def test_it_tells_its_commands() -> None:
    code, told, _ = said("--help")
    assert code == 0
    for command in ("run", "check", "schema", "cost"):
        assert f"\n    {command} " in told


def test_the_example_settings_are_good_and_a_key_that_is_missing_is_named() -> None:
    words = ("check", "--settings", INSIDE)
    code, told, _ = said(*words, flags=[mounted(EXAMPLE), KEY])
    assert code == 0
    assert "pcb-defects: customvision in westeurope: objects" in told
    code, _, error = said(*words, flags=[mounted(EXAMPLE)])
    assert code == 2
    assert "the variable CUSTOM_VISION_KEY is not set" in error


def test_a_setting_that_is_wrong_ends_it_with_2_and_names_the_field(tmp_path: Path) -> None:
    document = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    document["budget"]["per_hub"] = "plenty"
    wrong = tmp_path / "verifier.json"
    wrong.write_text(json.dumps(document), encoding="utf-8")
    code, _, error = said("run", "--settings", INSIDE, flags=[mounted(wrong), KEY])
    assert code == 2
    assert "budget.per_hub" in error


def test_every_vision_api_of_the_image_can_be_made() -> None:
    """What was trimmed, of AWS above all, is not what they stand on."""
    script = (
        "import visionedge.wire\n"
        "from verifier.backends import rekognition, registry\n"
        "print(rekognition.client('eu-west-1').meta.service_model.service_name)\n"
    )
    flags = ["--interactive", "--entrypoint=python", *LIMITS]
    done = podman("run", "--rm", "--pull=never", *flags, VERIFIER, "-", text=script)
    assert done.stdout == "rekognition\n"


def test_it_runs_with_the_cloud_away_and_ends_with_0_when_told_to() -> None:
    flags = [*LIMITS, mounted(EXAMPLE), KEY, f"--stop-timeout={GRACE_S:g}"]
    with Container(VERIFIER, flags) as worker:
        wait_until(worker.healthy, "the image's own health check passes", 60)
        began = time.monotonic()
        wait_until(lambda: "ConnectError" in worker.log(), "the hub was asked for", 60)
        assert worker.healthy()
        podman("stop", worker.name, timeout_s=GRACE_S + 30)
        assert worker.state()["ExitCode"] == 0
        assert time.monotonic() - began < 60 + GRACE_S
