"""The tools around the module: who may know whom, and where AMQP lives."""

from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, imports, snippet, sources

PROTON_HOMES: Final = ("eventhub.connection", "eventhub.messages")
STRANGERS: Final = {
    "devhub": ("eventhub", "loop", "demo", "verifier", "visionedge", "azure"),
    "eventhub": ("loop", "demo", "verifier", "visionedge", "azure"),
    "verifier": ("devhub", "eventhub", "loop", "demo", "training"),
}
"""Package to what it may not import. The loop puts all of them together, so it may."""


def proton_elsewhere(source: Source) -> Iterator[Fault]:
    """Imports of proton outside its home; without it, the rest must still import."""
    for imported in imports(source):
        if imported.is_from("proton") and source.module not in PROTON_HOMES:
            yield Fault(source.path, imported.line, f"proton lives in {', '.join(PROTON_HOMES)}")


def strangers(source: Source) -> Iterator[Fault]:
    """Imports of a package by one that must stand without it."""
    own = source.module.partition(".")[0]
    for imported in imports(source):
        for package in STRANGERS.get(own, ()):
            if imported.is_from(package):
                yield Fault(source.path, imported.line, f"`{own}` stands without `{package}`")


def test_amqp_has_one_home() -> None:
    faults = broken(proton_elsewhere, sources("modules", "tools", "cloud", "tests", "bench"))
    assert not faults, f"a vendor has one home:\n{faults}"
    assert list(proton_elsewhere(snippet("loop.run", "import proton")))
    assert not list(proton_elsewhere(snippet("eventhub.connection", "from proton import Message")))


def test_the_services_that_are_played_stand_by_themselves() -> None:
    faults = broken(strangers, sources("tools", "cloud"))
    assert not faults, f"devhub and the event hub serve anybody's code:\n{faults}"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("devhub.service", "from eventhub.log import Event"),
        ("eventhub.broker", "from verifier.ledger import State"),
        ("verifier.core", "from devhub import DevHub"),
    ],
)
def test_a_stranger_is_found(module: str, text: str) -> None:
    assert list(strangers(snippet(module, text)))


def test_the_rules_read_real_files() -> None:
    modules = {source.module for source in sources("tools", "cloud")}
    assert {"devhub.service", "eventhub.connection", "loop.run", "verifier.core"} <= modules
