"""Verifier workers as they are deployed: the `verifier` command, settings in a file, secrets in
the environment, each in a process of its own with its own log.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BALANCE_S: Final = 1.0
LEASE_S: Final = 8.0
THREADS: Final = 4
"""As many calls may be in flight when a worker dies."""
_STOP_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """What a worker is pointed at; all but the address and the file are secrets."""

    events: str
    store: str
    hub: str
    vision_url: str
    ca_file: Path


def settings_of(cloud: Cloud) -> dict[str, Any]:
    """The settings file: short leases, so that nobody need watch two minutes go by."""
    region = {"name": "loopback", "endpoint": cloud.vision_url, "key_env": "VISION_KEY"}
    backend = {
        "kind": "customvision",
        "regions": [region],
        "project_id": "pcb",
        "published_name": "production",
    }
    return {
        "routes": {"*": {"backend": backend, "want": ["objects"]}},
        "hub": {"connection_string_env": "HUB"},
        "events": {
            "connection_string_env": "EVENTS",
            "balance_s": BALANCE_S,
            "ca_file": str(cloud.ca_file),
        },
        "store": {"connection_string_env": "STORE"},
        "worker": {
            "threads": THREADS, "batch": 8, "http_port": 0, "cache_days": 0, "lease_s": LEASE_S,
        },
    }  # fmt: skip


class VerifierRun:
    """One `verifier run`.

    Args:
        name: Of its log.
        cloud: What it is pointed at.
        vision_key: Its own key of the Vision API.
        folder: Gets the settings and the log.
    """

    def __init__(self, name: str, cloud: Cloud, vision_key: str, folder: Path) -> None:
        self.name = name
        self.vision_key = vision_key
        settings = folder / f"{name}.json"
        settings.write_text(json.dumps(settings_of(cloud), indent=2), encoding="utf-8")
        command = [sys.executable, "-m", "verifier", "run", "--settings", str(settings)]
        with (folder / f"{name}.log").open("wb") as log:
            # A session of its own, so that Ctrl-C reaches it only through us.
            self._process = subprocess.Popen(
                command,
                env=_environment(cloud, vision_key),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        return self._process.poll()

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _environment(cloud: Cloud, vision_key: str) -> Mapping[str, str]:
    authority = str(cloud.ca_file)
    return {
        **os.environ,
        "EVENTS": cloud.events,
        "STORE": cloud.store,
        "HUB": cloud.hub,
        "VISION_KEY": vision_key,
        "SSL_CERT_FILE": authority,
        "REQUESTS_CA_BUNDLE": authority,
    }
