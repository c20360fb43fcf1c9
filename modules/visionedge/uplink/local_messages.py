"""Messages in a folder, for whoever has no hub: readable by a person, bounded in size.

A line holds the message as JSON; the picture of an escalation is taken out of it and lies
beside it as a JPEG, so that the lines can be read and the pictures be looked at.
"""

import base64
import binascii
import json
import os
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from visionedge.entities import Envelope
from visionedge.runtime.whole_file import replace_file

_REMEMBERED: Final = 10_000
"""Ids; more than any window, and after a restart a line may come twice."""
_FOR_ALL: Final = 0o644


class MessageFolder:
    """Takes messages, and gives up the oldest files when they are too many bytes.

    Args:
        folder: made when first needed.
        max_bytes: of message files and pictures; exceeded by a tenth at most.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        # As if much were written: what lies there from before is looked at first.
        self._written_bytes = max_bytes
        self._written_ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, envelope: Envelope) -> None:
        """Write a message; when this returns, the disk has it.

        An escalation that is sent again, because nobody has answered, is not written again.

        Raises:
            OSError: it has not; try again later.
        """
        with self._lock:
            if envelope.id in self._written_ids:
                return
            line = self._line(envelope)
            _append(self._folder / f"{envelope.kind}-{datetime.now(UTC):%Y%m%d}.jsonl", line)
            self._bound(len(line))
            self._written_ids[envelope.id] = None
            if len(self._written_ids) > _REMEMBERED:
                self._written_ids.popitem(last=False)

    def _line(self, envelope: Envelope) -> bytes:
        """The message as a line, its picture as a file beside it."""
        try:
            body = json.loads(envelope.body)
        except ValueError:
            body = {"base64": base64.b64encode(envelope.body).decode()}
        image = body.get("image") if isinstance(body, dict) else None
        if isinstance(image, dict) and (jpeg := _decoded(image.get("data"))):
            # An id comes from the module itself, and is no path. The line comes after it.
            picture = self._folder / "images" / f"{Path(envelope.id).name}.jpg"
            replace_file(picture, jpeg, _FOR_ALL)
            self._written_bytes += len(jpeg)
            del image["data"]
            image["file"] = f"images/{picture.name}"
        message = {
            "id": envelope.id,
            "created_at": envelope.created_at.isoformat(),
            "content_type": envelope.content_type,
            "properties": dict(envelope.properties),
            "body": body,
        }
        return json.dumps(message, separators=(",", ":")).encode() + b"\n"

    def _bound(self, written_bytes: int) -> None:
        """Delete the oldest files beyond the bound; looked at after each tenth of it."""
        self._written_bytes += written_bytes
        if self._written_bytes < self._max_bytes // 10:
            return
        self._written_bytes = 0
        files = [*self._folder.glob("*.jsonl"), *self._folder.glob("images/*.jpg*")]
        by_age = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in files)
        excess_bytes = sum(size for _, size, _ in by_age) - self._max_bytes
        for _, size, path in by_age[:-1]:
            if excess_bytes <= 0:
                return
            path.unlink(missing_ok=True)
            excess_bytes -= size


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() and not _ends_a_line(file):
            # A full disk or a power cut left half a line; it must not take this one with it.
            file.write(b"\n")
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error:
        return b""
