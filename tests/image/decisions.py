"""Runs inside an image, read from stdin: what it decides on the bundle's golden frames.

Prints one JSON object a frame. The frames are ten seconds apart, so that no decision is
suppressed for its pace.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from visionedge.entities import Frame
from visionedge.escalation.decide import Decider
from visionedge.inference.image import read_image
from visionedge.inference.model import load_model
from visionedge.inference.prediction_json import as_document
from visionedge.settings import resolve

settings = resolve([])
[(camera_id, camera)] = settings.cameras.items()
model_settings = settings.models[camera.model]
bundle = Path(model_settings.path)
runner = load_model(bundle, model_settings).runner()
decider = Decider(settings, 1)
for number, path in enumerate(sorted((bundle / "golden").glob("*.jpg"))):
    image = read_image(path)
    if image is None:
        raise SystemExit(f"{path} cannot be read")
    prediction = runner.infer(image)
    frame = Frame(image, camera_id, number, datetime.now(UTC), number * 10_000_000_000)
    decision = decider.decide(frame, prediction)
    found = as_document(path.name, prediction)
    found |= {"action": decision.action, "reason": decision.reason, "score": decision.score}
    sys.stdout.write(json.dumps(found) + "\n")
