"""A module twin: two documents with versions, merged as IoT Hub merges them.

Desired changes are made in the cloud and then brought to the edge (`sync`), which is a step of
its own because the cloud may be silent. What a module reads and what it is pushed is the edge's
copy, so both always tell one story.

Every change makes new dicts and leaves the old ones as they were: a reader in another thread
holds a whole document without a lock.

Source: "Understand and use module twins in IoT Hub", Microsoft Learn; RFC 7396 for the merge.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DesiredPatch:
    """One change of the desired properties and the version that it makes."""

    version: int
    changes: JsonObject

    def body(self) -> bytes:
        """The payload of the push, `$version` included."""
        return to_json({**self.changes, "$version": self.version})


class Twin:
    """The desired and reported properties of one module."""

    def __init__(self) -> None:
        self.desired: JsonObject = {}
        self.desired_version = 1
        self.reported: JsonObject = {}
        self.reported_version = 1
        self._edge_desired: JsonObject = {}
        self._edge_version = 1
        self._unsynced: list[DesiredPatch] = []

    def patch_desired(self, changes: JsonObject) -> int:
        """Merges changes into the cloud's copy (None removes) and returns its new version."""
        to_json(changes)
        self.desired = merge(self.desired, changes)
        self.desired_version += 1
        self._unsynced.append(DesiredPatch(self.desired_version, changes))
        return self.desired_version

    def replace_desired(self, document: JsonObject) -> int:
        """Makes the cloud's copy equal to `document`, as applying a deployment manifest does.

        The module is pushed what differs, with None for what is gone.
        """
        return self.patch_desired(difference(self.desired, document))

    def sync(self) -> list[DesiredPatch]:
        """Brings the edge's copy up to date; returns the patches to push, oldest first."""
        patches, self._unsynced = self._unsynced, []
        for patch in patches:
            self._edge_desired = merge(self._edge_desired, patch.changes)
            self._edge_version = patch.version
        return patches

    def report(self, changes: JsonObject) -> int:
        """Merges a module's report and returns the new version."""
        self.reported = merge(self.reported, changes)
        self.reported_version += 1
        return self.reported_version

    def document(self) -> JsonObject:
        """What the edge answers when the module asks for its twin."""
        return {
            "desired": {**self._edge_desired, "$version": self._edge_version},
            "reported": {**self.reported, "$version": self.reported_version},
        }


def merge(document: JsonObject, patch: JsonObject) -> JsonObject:
    """Returns `document` with the patch merged in; None removes, objects merge, all else replaces.

    The result shares unchanged parts with `document`, which stays as it was.
    """
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            old = merged.get(name)
            merged[name] = merge(old if isinstance(old, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def difference(old: JsonObject, new: JsonObject) -> JsonObject:
    """Returns the smallest patch that turns `old` into `new` under `merge`."""
    patch: JsonObject = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            if changes := difference(before, value):
                patch[name] = changes
        elif name not in old or type(before) is not type(value) or before != value:
            patch[name] = value
    return patch


def to_json(value: object) -> bytes:
    """Encodes as compact UTF-8 JSON.

    Raises:
        ValueError: A NaN or an infinity, which JSON does not have.
        TypeError: Something that JSON does not have.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # Half a surrogate pair becomes its JSON escape, so any text that was read can be written.
    return text.encode("utf-8", "backslashreplace")
