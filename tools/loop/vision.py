"""A Vision API on loopback that knows the truth and misbehaves: Custom Vision prediction 3.1.

The virtual line knows what is in each picture, so the answers are right. Before most of them comes
a fault: throttled, broken, slow, or no JSON at all. As the real service does, it says in a header
what it charged, and charges for answers, not for its own faults.
"""

import hashlib
import itertools
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from devhub.authority import Authority
from devhub.https import Answer, HttpsServer, Request
from devhub.verdicts import Sighting

KEY_HEADER: Final = "prediction-key"
SLOW_S: Final = 1.0
_FAULTS: Final = ("throttled", "", "broken", "", "slow", "", "no json", "")
"""What happens to one call after the other; an empty one is answered as it should be."""
_THROTTLED: Final = {"error": {"code": "429", "message": "Rate limit is exceeded."}}
_CHARGE: Final = {"CSP-Billing-Usage": "CognitiveServices.CustomVision.Transaction=1"}


class VisionService:
    """Serves one project; `server` is to be entered.

    Args:
        charged: Told the SHA-256 of each picture that was charged, when it is answered.
    """

    def __init__(self, address: str, authority: Authority, charged: Callable[[str], None]) -> None:
        self.server = HttpsServer(address, authority, self.handle)
        self.calls: Counter[str] = Counter()
        self._charged = charged
        self._lock = threading.Lock()
        self._truths: dict[str, Sequence[Sighting]] = {}
        self._faults = itertools.cycle(_FAULTS)
        self._in_hand: Counter[str] = Counter()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"https://{self.server.host}"

    @property
    def paid(self) -> int:
        """Calls that were charged."""
        return self.calls["answered"]

    def issue_key(self) -> str:
        """A new key, for one client."""
        key = secrets.token_hex(16)
        with self._lock:
            self._in_hand[key] = 0
        return key

    def in_hand(self, key: str) -> int:
        """Calls of a client that are not answered yet."""
        return self._in_hand[key]

    def know(self, picture: str, truth: Sequence[Sighting]) -> None:
        """What is in a picture, by its SHA-256."""
        with self._lock:
            self._truths[picture] = truth

    def handle(self, request: Request) -> Answer:
        """Answer one call, or fail it in its turn."""
        key = request.headers.get(KEY_HEADER, "")
        if key not in self._in_hand:
            return _json(401, {"error": {"code": "401", "message": "Access denied."}})
        with self._lock:
            fault = next(self._faults)
            self.calls[fault or "answered"] += 1
            self._in_hand[key] += 1
        try:
            return self._answer(request, fault)
        finally:
            with self._lock:
                self._in_hand[key] -= 1

    def _answer(self, request: Request, fault: str) -> Answer:
        if fault == "throttled":
            return _json(429, _THROTTLED, {"Retry-After": "1"})
        if fault == "broken":
            return Answer(500, b"", {"Content-Type": "text/plain"})
        if fault == "no json":
            return Answer(200, b"<html>overrun</html>", {"Content-Type": "text/html"})
        picture = hashlib.sha256(picture_of(request.body)).hexdigest()
        with self._lock:
            truth = self._truths.get(picture, ())
            if fault == "slow":
                self.calls["answered"] += 1
        # Charged when the work is done, whether or not somebody still waits for the answer.
        self._charged(picture)
        if fault == "slow":
            time.sleep(SLOW_S)
        seen = [_prediction(each) for each in truth]
        return _json(
            200, {"id": secrets.token_hex(8), "iteration": "loop", "predictions": seen}, _CHARGE
        )


def picture_of(form: bytes) -> bytes:
    """The one file in a form."""
    return form.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]


def _prediction(seen: Sighting) -> dict[str, Any]:
    left, top, right, bottom = seen["box"]
    box = {"left": left, "top": top, "width": right - left, "height": bottom - top}
    return {"tagName": seen["label"], "probability": seen["confidence"], "boundingBox": box}


def _json(status: int, document: object, headers: dict[str, str] | None = None) -> Answer:
    content = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status, json.dumps(document).encode(), content)
