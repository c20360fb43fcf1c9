"""A frame of eighteen megapixels through settings, tiles, region, mask and message."""

import json
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.running import busy_line, running, wait_until

from devhub import DevHub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
TOP, BOTTOM, LEFT = 0.2, 0.8, 0.5
TILES = {"width_px": 1280, "height_px": 720, "overlap": 0.2, "batch": 4}


def wall_of_boards(folder: Path) -> None:
    """Boards of the virtual line, four beside each other in five rows."""
    read = [
        np.asarray(cv2.imread(str(path)), np.uint8)
        for path in sorted((BUNDLE / "golden").glob("*.jpg"))
    ]
    # The etched scans among them have another size.
    line = cycle(each for each in read if each.shape == (720, 1280, 3))
    boards = [next(line) for _ in range(20)]
    picture = np.vstack([np.hstack(boards[row * 4 : row * 4 + 4]) for row in range(5)])
    assert picture.shape == (3600, 5120, 3)
    folder.mkdir()
    cv2.imwrite(str(folder / "wall.png"), picture)


def test_small_defects_of_a_big_frame_are_found_in_its_region_and_its_mask_hides(
    devhub: DevHub, tmp_path: Path
) -> None:
    wall_of_boards(tmp_path / "pictures")
    document = busy_line(tmp_path)
    document["cameras"]["line-1"] = {
        "kind": "file",
        "path": str(tmp_path / "pictures"),
        "fps": 1,
        "tiles": TILES,
        "region": [[LEFT, TOP], [1, TOP], [1, BOTTOM], [LEFT, BOTTOM]],
        "masks": [[[0, 0], [LEFT, 0], [LEFT, 1], [0, 1]]],
    }
    with running(document) as app:
        wait_until(lambda: bool(devhub.messages("escalation")), "an escalation", 300)
        assert (
            app.metrics.counts("visionedge_frames_dropped_total", "cause").get("model_error", 0)
            == 0
        )
    message = json.loads(devhub.messages("escalation")[0].body)
    assert (message["frame"]["width"], message["frame"]["height"]) == (5120, 3600)
    found = message["prediction"]["detections"]
    assert len(found) >= 5, "defects of ten pixels, which the whole frame would not show"
    for each in found:
        x1, y1, x2, y2 = each["box"]
        assert LEFT <= (x1 + x2) / 2 <= 1
        assert TOP <= (y1 + y2) / 2 <= BOTTOM
        assert (x2 - x1) * 5120 < 80
    assert message["image"]["masked"] == 1
