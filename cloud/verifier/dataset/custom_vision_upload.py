"""Sends an exported data set to a Custom Vision project: `CreateImagesFromFiles`, 64 a call.

Reads what `verifier export --format custom-vision` or `visionedge export` wrote. Tags are looked up
by name, and made where the project has none of that name. A call that is taken in part answers 207
with a word on each picture; each word is written to `uploaded.jsonl` in the folder, so an upload
that was broken off goes on where it was, and nothing is sent twice but the call that was in flight
(the service knows a picture again by its content, and says `OKDuplicate`).

Calls that are throttled or fail are made again here, five times at most. This service ends on
2028-09-25, and its client is archived: so REST.

Source: Custom Vision Training 3.3, azure-rest-api-specs; the client's own requests are the oracle
in the tests.
"""

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from verifier.clock import Clock, SystemClock
from verifier.errors import BackendBusy, BackendMisconfigured, SettingsRefused
from verifier.http import Answer, Service, reading
from visionedge.datasets.custom_vision import BATCHES

STATE: Final = "uploaded.jsonl"
TAKEN: Final = frozenset({"OK", "OKDuplicate"})
WORTH_ANOTHER_TRY: Final = frozenset({"ErrorStorage", "ErrorUnknown", "ErrorSource"})
"""Faults of the service; all others are the picture's or the project's, and stay."""
_TRIES: Final = 5
_FIRST_S: Final = 1.0
_MAX_PAUSE_S: Final = 60.0
_CALL_S: Final = 120.0


@dataclass(slots=True)
class Uploaded:
    """What became of the pictures, by the service's word on each; `before` were taken earlier."""

    statuses: Counter[str] = field(default_factory=Counter)
    before: int = 0
    new_tags: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """True if another run would send nothing."""
        return not WORTH_ANOTHER_TRY & self.statuses.keys()

    def told(self) -> str:
        """For people."""
        taken = sum(self.statuses[status] for status in TAKEN)
        lines = [f"{taken} pictures taken now, {self.before} before"]
        if self.new_tags:
            lines.append(f"new tags: {', '.join(self.new_tags)}")
        for status, count in sorted(self.statuses.items()):
            if status not in TAKEN:
                again = ", run again to try once more" if status in WORTH_ANOTHER_TRY else ""
                lines.append(f"{count} refused: {status}{again}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Upload:
    """One folder to one project.

    Args:
        service: The training endpoint, with `Training-Key`.
        project_id: Of the project.
        folder: An export in the format `custom-vision`.
        clock: For the pauses between attempts.
    """

    service: Service
    project_id: str
    folder: Path
    clock: Clock = field(default_factory=SystemClock)

    def run(self) -> Uploaded:
        """Send what was not taken yet.

        Raises:
            SettingsRefused: the folder is no such export.
            BackendMisconfigured: the key, the endpoint or the project is wrong.
            BackendRefused: the service takes no call of this kind.
            BackendBusy: it did not answer often enough; run again.
        """
        batches = [_batch(path) for path in sorted((self.folder / BATCHES).glob("*.json"))]
        if not batches:
            raise SettingsRefused(
                f"{self.folder}: no {BATCHES}/*.json", hint="export with --format custom-vision"
            )
        done = dict(self._done())
        uploaded = Uploaded(before=sum(status in TAKEN for status in done.values()))
        left = [[e for e in batch if done.get(e["name"]) is None] for batch in batches]
        for status in done.values():
            if status not in TAKEN:
                uploaded.statuses[status] += 1
        tags = self._tags(sorted({tag for batch in left for e in batch for tag in e["tags"]}))
        uploaded.new_tags = [name for name, (_, is_new) in tags.items() if is_new]
        ids = {name: id_ for name, (id_, _) in tags.items()}
        for batch in left:
            if batch:
                uploaded.statuses.update(self._send(batch, ids))
        return uploaded

    def _done(self) -> Iterator[tuple[str, str]]:
        """Pictures whose end is known, with the service's word."""
        path = self.folder / STATE
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            try:
                said = json.loads(line)
                if said["status"] not in WORTH_ANOTHER_TRY:
                    yield said["name"], said["status"]
            except (ValueError, KeyError, TypeError):
                continue  # A line that was cut; its picture is sent again.

    def _tags(self, wanted: Sequence[str]) -> dict[str, tuple[str, bool]]:
        """Id of each tag by its name here, and whether it was made now."""
        if not wanted:
            return {}
        answer = self._call("GET", "/tags")
        with reading("custom vision"):
            known = {str(tag["name"]).casefold(): str(tag["id"]) for tag in answer.json()}
        found: dict[str, tuple[str, bool]] = {}
        for name in wanted:
            id_ = known.get(name.casefold())
            found[name] = (id_, False) if id_ else (self._make_tag(name), True)
        return found

    def _make_tag(self, name: str) -> str:
        answer = self._call("POST", f"/tags?name={quote(name, safe='')}")
        with reading("custom vision"):
            return str(answer.json()["id"])

    def _send(self, batch: Sequence[Mapping[str, Any]], tags: Mapping[str, str]) -> list[str]:
        images = [self._image(entry, tags) for entry in batch]
        body = json.dumps({"images": images}).encode()
        answer = self._call("POST", "/images/files", body)
        with reading("custom vision"):
            statuses = _statuses(answer.json()["images"], [str(entry["name"]) for entry in batch])
        with (self.folder / STATE).open("a", encoding="utf-8") as file:
            for name, status in statuses.items():
                file.write(json.dumps({"name": name, "status": status}) + "\n")
        return list(statuses.values())

    def _image(self, entry: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
        try:
            content = (self.folder / entry["file"]).read_bytes()
        except OSError as error:
            raise SettingsRefused(f"{entry['file']}: {error.strerror}") from None
        image: dict[str, Any] = {
            "name": entry["name"],
            "contents": base64.b64encode(content).decode(),
        }
        if "regions" in entry:
            image["regions"] = [
                {"tagId": tags[r["tag"]]} | {k: r[k] for k in ("left", "top", "width", "height")}
                for r in entry["regions"]
            ]
        else:
            image["tagIds"] = [tags[tag] for tag in entry["tags"]]
        return image

    def _call(self, method: str, path: str, body: bytes = b"") -> Answer:
        project = quote(self.project_id, safe="")
        url = f"{self.service.endpoint}/customvision/v3.3/training/projects/{project}{path}"
        content_type = "application/json" if body else ""
        for attempt in range(_TRIES):
            try:
                return self.service.call(method, url, _CALL_S, body=body, content_type=content_type)
            except BackendBusy as error:
                if attempt + 1 == _TRIES:
                    raise
                pause_s = error.retry_after_s or _FIRST_S * 2.0**attempt
                self.clock.wait(threading.Event(), min(_MAX_PAUSE_S, pause_s))
            except BackendMisconfigured as error:
                raise BackendMisconfigured(
                    str(error), hint="check the training endpoint, its key and --project"
                ) from None
        raise AssertionError("the last attempt returns or raises")


def _batch(path: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(path.read_text("utf-8"))["images"]
        for entry in entries:
            if not {"name", "file", "tags"} <= entry.keys() or not _is_within(entry["file"]):
                raise ValueError(f"an entry of {len(entry)} fields")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsRefused(f"{path}: no batch: {error}") from None
    return list(entries)


def _is_within(file: str) -> bool:
    return not Path(file).is_absolute() and ".." not in Path(file).parts


def _statuses(said: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, str]:
    """The word on each picture: by the name it was sent under, else by its place."""
    by_name = {str(each.get("sourceUrl")): str(each["status"]) for each in said}
    if by_name.keys() == set(names):
        return by_name
    return {name: str(each["status"]) for name, each in zip(names, said, strict=True)}
