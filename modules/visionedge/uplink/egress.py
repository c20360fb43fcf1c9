"""The egress ledger: one line for each picture that left the device, and what was said of it.

It answers "what left this plant in May?" without the cloud (`visionedge audit`). It is JSON
lines that are only ever appended, so it can be read with any tool while the module runs,
and outlives the spool's file. A line is on the disk before its picture is handed to the hub:
a crash in between lists one that may not have left, never the other way round. Where the
line cannot be written, the picture is not sent now.

`RecordedHub` stands between the sender and any hub, so no hub can be sent through
without it.

A verdict's line follows its settlement; a crash in between leaves the picture listed without
a verdict, which the spool and the cloud still know.

Bounded: when the file is full it becomes PATH.1, and the oldest of them goes. What this
does not promise: proof against whoever can write to the disk.
"""

import json
import logging
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from visionedge.entities import Envelope, Kind, Resolution
from visionedge.errors import EgressUnwritable, SettingsError
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.runtime.worker import Worker
from visionedge.uplink.hub import HubClient, OnEvent

log: Final = logging.getLogger(__name__)
_FILES: Final = 4
"""The bound is split over so many, so that rotation gives up a quarter."""
HUB: Final = "hub"
_MOST_CLAIMS: Final = 50
_OF_VERDICTS: Final = ("verifier", "outcome", "claims")
_REMEMBERED: Final = 4096
"""Ids whose line was written; a resend long after is listed again, and counted once."""


class EgressLedger:
    """Appends. Safe for all threads.

    Args:
        path: of the newest file.
        max_bytes: of all its files.
        clock: stamps the lines.
    """

    def __init__(self, path: Path, max_bytes: int, clock: Clock | None = None) -> None:
        self._path = path
        self._file_bytes = max(1, max_bytes // _FILES)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._written: OrderedDict[str, None] = OrderedDict()

    def leaves(self, envelope: Envelope, to: str = HUB) -> None:
        """An escalation is about to be handed over; once an id.

        Args:
            envelope: the escalation.
            to: who gets it: the hub, or a Vision API that is asked directly.

        Raises:
            OSError: the line is not on the disk, so it must not be sent.
        """
        if envelope.id in self._written:
            return
        message = json.loads(envelope.body)
        image = message.get("image", {})
        self._append(
            {
                "event": "left",
                "id": envelope.id,
                "to": to,
                "camera": message.get("camera", ""),
                "reason": message.get("reason", ""),
                "model": message.get("model", {}).get("name", ""),
                "captured_at": message.get("frame", {}).get("captured_at", ""),
                "sha256": image.get("sha256", ""),
                "bytes": image.get("size_bytes", 0),
                "masked": image.get("masked", 0),
            }
        )
        with self._lock:
            self._written[envelope.id] = None
            if len(self._written) > _REMEMBERED:
                self._written.popitem(last=False)

    def note(self, resolution: Resolution) -> None:
        """How one that left has ended; a disk that refuses this line is logged."""
        entry = {
            "event": "settled",
            "id": resolution.escalation_id,
            "verifier": resolution.verifier,
            "outcome": resolution.outcome.value,
            # What confidences are calibrated from; most messages claim a few objects.
            "claims": [list(claim) for claim in resolution.judged[:_MOST_CLAIMS]],
        }
        try:
            self._append(entry)
        except OSError as error:
            # It is settled all the same; the picture stays listed without its end.
            log.error("the egress ledger cannot be written: %s", error)

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps({"at": self._clock.utc().isoformat(), **entry}).encode() + b"\n"
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size + len(line) > self._file_bytes:
                self._rotate()
            with self._path.open("ab") as file:
                if file.tell() and not _ends_with_newline(self._path):
                    # A power cut left half a line; it stays by itself, and is passed over.
                    file.write(b"\n")
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    def _rotate(self) -> None:
        for number in range(_FILES - 1, 0, -1):
            older = _numbered(self._path, number)
            newer = _numbered(self._path, number - 1) if number > 1 else self._path
            if newer.exists():
                newer.replace(older)


class RecordedHub:
    """A `HubClient` that hands a picture on only when its line is in the ledger."""

    def __init__(self, hub: HubClient, ledger: EgressLedger) -> None:
        self._hub = hub
        self._ledger = ledger

    @property
    def workers(self) -> list[Worker]:
        """Those of the hub."""
        return self._hub.workers

    def start(self, on_event: OnEvent) -> None:
        """Begin to connect."""
        self._hub.start(on_event)

    def send(self, envelope: Envelope) -> None:
        """Write the line, then hand the message over.

        Raises:
            EgressUnwritable: the line could not be written.
            UplinkUnavailable: the hub is away.
            UplinkRejected: this message can never be sent.
        """
        if envelope.kind is Kind.ESCALATION:
            try:
                self._ledger.leaves(envelope)
            except OSError as error:
                raise EgressUnwritable(
                    f"the egress ledger cannot be written: {error}",
                    hint="check the disk, and that `egress.path` names a file",
                ) from error
        self._hub.send(envelope)

    def report(self, patch: Mapping[str, Any]) -> None:
        """Merge `patch` into the reported twin."""
        self._hub.report(patch)

    def refresh_twin(self) -> None:
        """Ask for a new document."""
        self._hub.refresh_twin()

    def close(self, timeout_s: float) -> None:
        """End everything within `timeout_s`."""
        self._hub.close(timeout_s)


def read_ledger(
    path: Path,
    wanted: Callable[[datetime], bool] = lambda _: True,
    damaged: Callable[[Path, int], object] = lambda _file, _line: None,
) -> Iterator[dict[str, Any]]:
    """Pictures that left, the oldest first, each once, with their verdict where there is one.

    Args:
        path: of the newest file.
        wanted: of the time at which it left; verdicts are found whenever they came.
        damaged: told the file and number of each line that is none of a ledger, as a power cut
            leaves one.

    Yields:
        The line of each, with `verifier` and `outcome`, empty where nobody answered.

    Raises:
        SettingsError: a file of it cannot be read, or no line in it is one of a ledger.
    """
    left: dict[str, dict[str, Any]] = {}
    for entry in _entries(path, damaged):
        known = left.get(entry["id"])
        if entry["event"] == "left" and known is None:
            left[entry["id"]] = {**entry, "verifier": "", "outcome": ""}
        elif entry["event"] == "settled" and known is not None:
            known |= {key: entry[key] for key in _OF_VERDICTS if key in entry}
    for entry in left.values():
        if wanted(datetime.fromisoformat(entry["at"])):
            yield {key: value for key, value in entry.items() if key != "event"}


def _entries(path: Path, damaged: Callable[[Path, int], object]) -> Iterator[dict[str, Any]]:
    found: Counter[bool] = Counter()
    for number in range(_FILES - 1, -1, -1):
        file = _numbered(path, number) if number else path
        if not file.exists():
            continue
        try:
            with file.open(encoding="utf-8", errors="replace") as lines:
                for at, line in enumerate(lines, 1):
                    entry = _entry(line)
                    found[entry is not None] += 1
                    if entry is None:
                        damaged(file, at)
                    else:
                        yield entry
        except OSError as error:
            raise SettingsError(
                f"the ledger {file} cannot be read: {error.strerror}",
                hint="name the file of `egress.path`, as its owner",
            ) from None
    if found[False] and not found[True]:
        # To take it for an empty one would tell that nothing has left.
        raise SettingsError(
            f"{path} is no ledger: none of its lines is one of a ledger",
            hint="name the file of `egress.path`",
        )


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the ledger, or None where it is something else."""
    try:
        entry = json.loads(line)
        datetime.fromisoformat(entry["at"])
        int(entry.get("bytes", 0))
        told = isinstance(entry["event"], str) and isinstance(entry["id"], str)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return None
    return entry if told else None


def _numbered(path: Path, number: int) -> Path:
    # Not `with_name`, which refuses a folder without a name, as `.` is.
    return path.parent / f"{path.name}.{number}"


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
