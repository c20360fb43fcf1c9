"""A hub that is a folder: for running with no hub at all, on a desk or on an island.

    telemetry-20260101.jsonl   one message a line, one file a kind and day (UTC)
    images/<id>.jpg            the pictures of escalations, taken out of their lines
    desired.json               the desired twin; write it to change settings
    reported.json              what the module reports
    verdicts/*.json            drop a `verdict/1` here to answer an escalation, or the payload
                               of `operatorVerdict`, as a person at the line does; it is moved
                               to verdicts/done or verdicts/refused; one that answers nothing
                               known is done too, and a warning names it

A message is acknowledged when the disk has it. The folder is bounded: the oldest days and
pictures go first. The two files and the drop folder are polled, because that works on every
file system and in every container mount.

Not promised: an answer. Without a verdict an escalation expires, and the local word stands.
"""

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.entities import Envelope
from visionedge.errors import UplinkUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.redact import redact
from visionedge.runtime.worker import Worker
from visionedge.settings import merge
from visionedge.uplink.hub import (
    DesiredDocument,
    LinkChanged,
    MethodAnswer,
    MethodCall,
    OnEvent,
)
from visionedge.uplink.limits import check_message, check_report
from visionedge.uplink.local_messages import MessageFolder

log: Final = logging.getLogger(__name__)
_POLL_S: Final = 1.0
_ANSWER_S: Final = 10.0
_MAX_BYTES: Final = 1024**3
_BUSY: Final = 503
_NO_OBJECT: Final = MethodAnswer(400, {"error": "the file holds no JSON object"})
_MAX_FILE_BYTES: Final = 16 * 1024**2
"""Of a file that somebody has put there; far more than settings or verdicts need."""


class LocalHub:
    """A `HubClient` whose hub is a folder.

    Args:
        folder: made if need be.
        metrics: for link_up.
        max_bytes: of message files and pictures.
        poll_s: seconds between two looks at desired.json and verdicts.
    """

    def __init__(
        self,
        folder: Path,
        metrics: Metrics,
        *,
        max_bytes: int = _MAX_BYTES,
        poll_s: float = _POLL_S,
    ) -> None:
        self._folder = folder
        self._metrics = metrics
        self._messages = MessageFolder(folder, max_bytes)
        self._poll_s = poll_s
        self._on_event: OnEvent | None = None
        self._lock = threading.Lock()
        self._refresh = threading.Event()
        self._desired: tuple[Mapping[str, Any], int | None] = ({}, None)
        self._seen_mtime_ns: int | None = None
        self._unfinished: dict[str, int] = {}
        """Sizes of the verdicts that were no JSON at the last look, by name."""
        self._worker = Worker(
            "local-hub",
            self._poll,
            on_crash=lambda worker, _: metrics.worker_crashes.labels(worker.name).inc(),
        )

    @property
    def workers(self) -> list[Worker]:
        """As `HubClient.workers`."""
        return [self._worker]

    def start(self, on_event: OnEvent) -> None:
        """As `HubClient.start`."""
        self._on_event = on_event
        self._metrics.link_up.set(1)
        log.info("no hub: messages are written to %s", self._folder)
        self._worker.start()

    def send(self, envelope: Envelope) -> None:
        """As `HubClient.send`; acknowledged when the disk has it."""
        check_message(envelope)
        if self._on_event is None:
            raise UplinkUnavailable("the local hub is not running")
        try:
            self._messages.add(envelope)
        except OSError as error:
            raise _unavailable(error) from error

    def report(self, patch: Mapping[str, Any]) -> None:
        """As `HubClient.report`; merged into reported.json."""
        check_report(patch)
        if self._on_event is None:
            raise UplinkUnavailable("the local hub is not running")
        path = self._folder / "reported.json"
        try:
            with self._lock:
                self._folder.mkdir(parents=True, exist_ok=True)
                reported = _read_object(path) or {}
                whole = path.with_suffix(".new")
                whole.write_text(json.dumps(merge(reported, patch), indent=2) + "\n", "utf-8")
                whole.replace(path)
        except OSError as error:
            raise _unavailable(error) from error

    def refresh_twin(self) -> None:
        """As `HubClient.refresh_twin`."""
        self._refresh.set()

    def close(self, timeout_s: float) -> None:
        """As `HubClient.close`."""
        self._on_event = None
        self._metrics.link_up.set(0)
        self._worker.stop(timeout_s)

    def _poll(self, worker: Worker) -> None:
        self._tell(LinkChanged(connected=True))
        self._refresh.set()
        while not worker.stopping:
            worker.beat()
            for look in (self._look_at_desired, self._look_at_verdicts):
                try:
                    look()
                except OSError as error:
                    log.warning("%s cannot be read: %s", self._folder, error)
            worker.wait(self._poll_s)

    def _look_at_desired(self) -> None:
        path = self._folder / "desired.json"
        mtime_ns = path.stat().st_mtime_ns if path.exists() else None
        if mtime_ns != self._seen_mtime_ns:
            # Where it may not be read, it is looked at again: a right that is given is no change.
            desired = _read_object(path) if mtime_ns is not None else {}
            self._seen_mtime_ns = mtime_ns
            if desired is None:
                log.error("%s is no JSON object and is not taken", path)
                return
            version = desired.pop("$version", None)
            following = (self._desired[1] or 0) + 1
            self._desired = (desired, version if isinstance(version, int) else following)
            self._refresh.set()
        if self._refresh.is_set():
            self._refresh.clear()
            self._tell(DesiredDocument(*self._desired))

    def _look_at_verdicts(self) -> None:
        folder = self._folder / "verdicts"
        before, self._unfinished = self._unfinished, {}
        for path in sorted(folder.glob("*.json")):
            try:
                verdicts, size = _read_object(path), path.stat().st_size
            except OSError as error:
                # Somebody else's file, or a folder: those behind it are good all the same.
                log.warning("verdict %s cannot be read: %s", path.name, error)
                continue
            if verdicts is None and before.get(path.name) != size:
                # Perhaps a copy under way: one look more, and it is refused if it stays so.
                self._unfinished[path.name] = size
                continue
            answer = _NO_OBJECT if verdicts is None else self._apply(verdicts)
            if answer.status == _BUSY:
                return
            kept = folder / ("done" if answer.status == 200 else "refused")
            kept.mkdir(exist_ok=True)
            path.replace(kept / path.name)
            if answer.status != 200:
                why = redact(json.dumps(answer.payload, ensure_ascii=False))
                log.error("verdict %s is refused with %d: %s", path.name, answer.status, why)
            for id_ in _unknown(answer.payload):
                log.warning("verdict %s: no such escalation: %s", path.name, id_)

    def _apply(self, verdicts: dict[str, Any]) -> MethodAnswer:
        if "word" in verdicts:
            call = MethodCall("operatorVerdict", verdicts)
        else:
            payload = verdicts if "verdicts" in verdicts else {"verdicts": [verdicts]}
            call = MethodCall("applyVerdict", payload)
        self._tell(call)
        return call.wait(_ANSWER_S)

    def _tell(self, event: LinkChanged | DesiredDocument | MethodCall) -> None:
        if on_event := self._on_event:
            on_event(event)


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_MAX_FILE_BYTES))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _unknown(payload: Mapping[str, Any]) -> list[str]:
    """The ids that an answer knows nothing of; the answer itself is 200, as the cloud wants it."""
    results = payload.get("results", [payload])
    return [each["escalation_id"] for each in results if each.get("status") == "unknown"]


def _unavailable(error: OSError) -> UplinkUnavailable:
    return UplinkUnavailable(
        f"cannot write: {error}", hint="check free space and that uplink.local_path can be written"
    )
