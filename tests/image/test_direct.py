"""Direct mode: the module's image and the verifier's in one, under the limits of the manifest."""

import json
from pathlib import Path

import pytest
from tests.image.podman import AMD64, Container
from tests.support.running import wait_until

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
DIRECT = "localhost/visionedge:direct"
ROUTE = {
    "backend": {
        "kind": "ia40",
        "regions": [{"name": "westeurope", "endpoint": "https://vision.invalid"}],
    },
    "want": ["objects"],
}


@pytest.fixture
def asking(flags: list[str]) -> list[str]:
    """The flags of a module that is to ask a Vision API by itself."""
    settings = json.dumps({"enabled": True, "route": ROUTE, "key": "${env:VISION_KEY}"})
    doubt = "--env=VISIONEDGE__DECISION__ACCEPT=1.0"
    return [*flags, f"--env=VISIONEDGE__DIRECT={settings}", "--env=VISION_KEY=k", doubt]


def test_the_two_images_in_one_run_the_line_in_direct_mode(asking: list[str], data: Path) -> None:
    with Container(DIRECT, asking) as module:
        wait_until(lambda: "direct mode: escalations go to" in module.log(), "it says so", 60)
        wait_until(lambda: module.count("visionedge_frames_processed_total") > 20, "20 frames", 60)
        assert module.healthy()
        assert (data / "direct.db").stat().st_uid == 10001


def test_the_module_s_image_alone_says_what_is_missing(asking: list[str]) -> None:
    with Container(AMD64, asking) as module:
        assert module.wait(timeout_s=60) == 2
        assert "direct.enabled: the verifier is not installed" in module.log()
