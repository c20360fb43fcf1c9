"""One home a vendor, so that a vendor's change or error is met in one place."""

import ast
from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, dotted, imports, snippet, visionedge

HOMES: Final[dict[str, tuple[str, ...]]] = {
    # The command has the quantiser, which no device holds; sessions are the other one's.
    "onnxruntime": ("visionedge.inference.session", "visionedge.commands.quantize"),
    "azure.iot": ("visionedge.uplink.azure_hub",),
    "sqlite3": ("visionedge.uplink.spool",),
    "prometheus_client": ("visionedge.metrics",),
    "cv2": (
        "visionedge.cameras",
        "visionedge.inference.image",
        "visionedge.inference.nms",
        "visionedge.escalation",
        "visionedge.commands",
    ),
    "pydantic": (
        "visionedge.settings",
        "visionedge.datasets.sample",
        "visionedge.inference.card",
        "visionedge.methods.payloads",
        "visionedge.wire",
    ),
    "cryptography": ("visionedge.delivery.signature",),
    "concurrent.futures": (),
    "asyncio": (),
}
"""Vendor to where it may be imported: the module, what is below it, and its `name_*` siblings."""
_THREADS: Final = ("Thread", "Timer")
_THREAD_HOME: Final = "visionedge.runtime.worker"
_ENVIRONMENT: Final = ("environ", "environb", "getenv", "putenv")
_ENVIRONMENT_HOMES: Final = ("visionedge.settings", "visionedge.__main__")


def strangers(source: Source) -> Iterator[Fault]:
    """Imports of a vendor outside its home."""
    for imported in imports(source):
        for vendor, homes in HOMES.items():
            at_home = source.is_in(*homes) or source.module.startswith(
                tuple(f"{home}_" for home in homes)
            )
            if imported.is_from(vendor) and not at_home:
                where = ", ".join(homes) or "nowhere in the module"
                yield Fault(source.path, imported.line, f"`{vendor}` lives in: {where}")


def taken(source: Source, module: str, names: tuple[str, ...]) -> Iterator[int]:
    """Lines that take one of `names` from `module`, by attribute or by import."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and dotted(node) in {f"{module}.{n}" for n in names}:
            yield node.lineno
    for imported in imports(source):
        if imported.module == module and set(names) & set(imported.names):
            yield imported.line


def threads(source: Source) -> Iterator[Fault]:
    """Threads that are made, or made possible, outside the worker."""
    if source.module != _THREAD_HOME:
        for line in taken(source, "threading", _THREADS):
            yield Fault(source.path, line, f"threads are made in {_THREAD_HOME} only")


def environment(source: Source) -> Iterator[Fault]:
    """Reads and writes of the environment outside the settings and the entry point."""
    if not source.is_in(*_ENVIRONMENT_HOMES):
        for line in taken(source, "os", _ENVIRONMENT):
            yield Fault(source.path, line, "the environment is read in: settings, __main__")


def test_each_vendor_is_imported_in_its_home_only() -> None:
    faults = broken(strangers, visionedge())
    assert not faults, f"a vendor has one home:\n{faults}"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("visionedge.pipeline", "import onnxruntime as ort"),
        ("visionedge.uplink.inbox", "from azure.iot.device import MethodResponse"),
        ("visionedge.uplink.sender", "import sqlite3"),
        ("visionedge.uplink.spoolers", "import sqlite3"),
        ("visionedge.telemetry", "from prometheus_client import Counter"),
        ("visionedge.inference.boxes", "import cv2"),
        ("visionedge.uplink.inbox", "from pydantic import BaseModel"),
        ("visionedge.app", "from concurrent import futures"),
        ("visionedge.app", "def f():\n    import asyncio"),
    ],
)
def test_a_vendor_outside_its_home_is_found(module: str, text: str) -> None:
    assert list(strangers(snippet(module, text)))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("visionedge.inference.session", "import onnxruntime"),
        ("visionedge.uplink.spool", "import sqlite3"),
        ("visionedge.uplink.spool_schema", "import sqlite3"),
        ("visionedge.cameras.capture", "import cv2"),
        ("visionedge.settings.tree", "from pydantic import Field"),
    ],
)
def test_a_vendor_at_home_is_fine(module: str, text: str) -> None:
    assert not list(strangers(snippet(module, text)))


def test_threads_are_made_in_the_worker_only() -> None:
    faults = broken(threads, visionedge())
    assert not faults, f"every thread has an owner:\n{faults}"


@pytest.mark.parametrize(
    "text",
    [
        "import threading\nthreading.Thread(target=print).start()",
        "from threading import Thread",
        "import threading\nclass Mine(threading.Thread): ...",
        "import threading\nthreading.Timer(1, print)",
    ],
)
def test_a_thread_made_elsewhere_is_found(text: str) -> None:
    assert list(threads(snippet("visionedge.cameras.bad", text)))


def test_locks_and_events_are_not_threads() -> None:
    text = "import threading\nlock = threading.Lock()\nevent = threading.Event()"
    assert not list(threads(snippet("visionedge.cameras.good", text)))


def test_the_environment_is_read_by_settings_and_main_only() -> None:
    faults = broken(environment, visionedge())
    assert not faults, f"a setting has one way in:\n{faults}"


@pytest.mark.parametrize(
    "text", ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"]
)
def test_the_environment_read_elsewhere_is_found(text: str) -> None:
    assert list(environment(snippet("visionedge.uplink.bad", text)))
    assert not list(environment(snippet("visionedge.__main__", text)))
