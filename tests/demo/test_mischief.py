"""The soak's mischief: every switch of the hub has its turn, and all of it is mended."""

import hashlib
import json
import zipfile
from pathlib import Path

from demo.mischief import Mischief
from devhub import ROWS, DevHub
from devhub.faults import FAULT_NAMES, Faults
from visionedge.settings import resolve


def test_every_fault_of_the_hub_is_in_a_row() -> None:
    assert {name for row in ROWS.values() for name in row.faults} == set(FAULT_NAMES)


def test_the_bundles_are_what_their_hashes_say(devhub: DevHub, tmp_path: Path) -> None:
    bundles = Mischief(devhub, tmp_path, seed=1).bundles
    assert len({sha256 for _, sha256 in bundles}) == 2
    for path, sha256 in bundles:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        with zipfile.ZipFile(path) as bundle:
            assert "pcb/model.onnx" in bundle.namelist()
            assert json.loads(bundle.read("pcb/model.json"))["version"] in ("2", "3")


def test_what_was_done_is_mended_and_the_model_that_was_asked_for_stays(
    devhub: DevHub, tmp_path: Path
) -> None:
    mischief = Mischief(devhub, tmp_path, seed=1)
    devhub.set_faults(latency_s=1, lose_puback=True)
    mischief.good_patch()
    mischief.deliver(mischief.bundles[1])
    mischief.hostile_patch()
    version = mischief.mend()
    assert devhub.faults == Faults()
    assert devhub.desired["models"]["default"]["sha256"] == mischief.bundles[1][1]
    assert devhub.desired["escalation"] == {"enabled": False}
    assert devhub.twin()["desired"]["$version"] == version
    settings = resolve([devhub.desired])
    assert list(settings.cameras) == ["line-1"]
    assert settings.delivery.shadow_frames == 5
