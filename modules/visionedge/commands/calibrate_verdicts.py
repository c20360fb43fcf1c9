"""Words about pictures as verdicts judged them: the egress ledger of a device, for `calibrate`.

Each verdict says of every claim whether it was right, and the ledger keeps that with how sure
the model was. So a model is calibrated on the very line that it looks at, without a label set.

What this does not promise: an unbiased sample. What was asked about was doubted, but for the
control sample, so high confidences are few here; they are judged as often as they were sent.
Confidences in the ledger were scaled already, by the temperature that the card had then.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import SettingsError
from visionedge.escalation.fitting import Floats
from visionedge.uplink.egress import read_ledger

Words = tuple[Floats, NDArray[np.bool_]]


def words_of_verdicts(path: Path, model: str | None) -> list[Words]:
    """Confidence and rightness of each claim, by escalation.

    Args:
        path: of the newest file of the ledger.
        model: only what this model said, by its name; None takes all.

    Raises:
        SettingsError: it is not there, or holds no verdict on any claim.
    """
    if not path.exists():
        raise SettingsError(f"there is no ledger {path}", hint="name the file of `egress.path`")
    found: list[Words] = []
    models: set[str] = set()
    for entry in read_ledger(path):
        claims = entry.get("claims") or []
        if claims:
            models.add(str(entry.get("model", "")))
        if claims and model in (None, entry.get("model")):
            confidence = np.array([float(claim[1]) for claim in claims])
            found.append((confidence, np.array([bool(claim[2]) for claim in claims])))
    if not found:
        others = f"; it has those of {', '.join(sorted(models))}" if models else ""
        raise SettingsError(
            f"{path} holds no verdict on what the model claimed{others}",
            hint="answer escalations first; older releases did not write down the claims",
        )
    if model is None and len(models) > 1:
        raise SettingsError(
            f"{path} holds verdicts on several models: {', '.join(sorted(models))}",
            hint="choose one with --of",
        )
    return found
