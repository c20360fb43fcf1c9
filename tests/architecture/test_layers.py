"""Who may know whom: imports go down only, and the ways into and out of the module are few."""

import sys
from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, imports, snippet, sources, visionedge

LAYERS: Final = (
    ("refusals",),
    ("entities", "errors", "overlap", "wire"),
    ("settings", "metrics", "runtime", "datasets"),
    (
        "cameras",
        "inference",
        "escalation",
        "uplink",
        "delivery",
        "telemetry",
        "tally",
        "twin",
        "deployment",
    ),
    ("second_look", "busy", "facts"),
    ("pipeline", "evaluation", "pauses", "direct"),
    ("handover", "candidates", "in_effect"),
    ("lineup", "methods", "acknowledge", "reporting", "diagnostics", "load", "undecided", "inputs"),
    ("control", "deliveries", "news"),
    ("linkup", "page"),
    ("app",),
    ("commands",),
    ("__main__",),
)
_HEIGHT: Final = {part: height for height, layer in enumerate(LAYERS) for part in layer}
_OUTSIDE: Final = (
    "devhub", "eventhub", "loop", "demo", "training", "cloud", "verifier", "bench", "docs", "tests",
    "support",
)  # fmt: skip
_SHARED: Final = {"wire", "datasets", "refusals"}
"""What the cloud half may know of the module: the messages, how answered ones are kept, and how
a document is refused."""


def part_of(module: str) -> str:
    """`cameras` of `visionedge.cameras.feed`; empty for the package itself."""
    return module.removeprefix("visionedge").removeprefix(".").partition(".")[0]


def not_downward(source: Source) -> Iterator[Fault]:
    """Imports within the module that do not go to a lower layer or stay in their own part."""
    own = part_of(source.module)
    if own and own not in _HEIGHT:
        yield Fault(source.path, 1, f"`{own}` has no layer: place it in LAYERS")
        return
    for imported in imports(source):
        if not imported.is_from("visionedge"):
            continue
        whole = imported.module != "visionedge"
        for part in [part_of(imported.module)] if whole else imported.names or ("",):
            if part != own and _HEIGHT.get(part, -1) >= _HEIGHT.get(own, -1):
                yield Fault(
                    source.path, imported.line, f"`{own}` imports `{part}`, which is not below it"
                )


def outside_imports(source: Source) -> Iterator[Fault]:
    """Imports of the module from the tools, tests and cloud around it.

    Direct mode asks a Vision API by the verifier's own code: it is imported in one place, by name
    and only where the settings ask for it, because most devices do not have it.
    """
    for imported in imports(source):
        if source.module == "visionedge.direct" and imported.module == "verifier.hosts.direct":
            continue
        for name in _OUTSIDE:
            if imported.is_from(name):
                yield Fault(source.path, imported.line, f"the module imports `{name}`")


def module_imports(source: Source) -> Iterator[Fault]:
    """Any import of the module."""
    for imported in imports(source):
        if imported.is_from("visionedge"):
            yield Fault(source.path, imported.line, f"imports `{imported.module}` of the module")


def other_module_imports(source: Source) -> Iterator[Fault]:
    """Imports of the module other than those shared, but where our own models are run."""
    if source.module == "verifier.backends.local_model":
        return
    for imported in imports(source):
        whole = imported.module != "visionedge"
        parts = {part_of(imported.module)} if whole else set(imported.names)
        if imported.is_from("visionedge") and not (parts and parts <= _SHARED):
            yield Fault(source.path, imported.line, f"imports `{imported.module}`, not the wire")


def not_pydantic_or_standard(source: Source) -> Iterator[Fault]:
    """Imports that a consumer of our messages would have to install."""
    for imported in imports(source):
        top = imported.module.partition(".")[0]
        ours = part_of(imported.module) in _SHARED and top == "visionedge"
        if not ours and top != "pydantic" and top not in sys.stdlib_module_names:
            yield Fault(source.path, imported.line, f"the wire imports `{imported.module}`")


def test_imports_go_only_down() -> None:
    faults = broken(not_downward, visionedge())
    assert not faults, f"imports go down only, never sideways:\n{faults}"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("visionedge.cameras.bad", "from visionedge.uplink.hub import HubClient"),
        ("visionedge.cameras.bad", "from visionedge import uplink"),
        ("visionedge.cameras.bad", "import visionedge.pipeline"),
        ("visionedge.cameras.bad", "import_module('visionedge.app')"),
        ("visionedge.runtime.bad", "if True:\n    from visionedge.settings import Settings"),
        ("visionedge.wire", "from visionedge.entities import Frame"),
        ("visionedge.pipeline", "from visionedge.app import App"),
        ("visionedge", "from visionedge.app import App"),
        ("visionedge.kitchen.sink", "import os"),
    ],
)
def test_an_import_that_does_not_go_down_is_found(module: str, text: str) -> None:
    assert list(not_downward(snippet(module, text)))


def test_an_import_that_goes_down_or_stays_at_home_is_fine() -> None:
    text = "from visionedge.settings import Settings\nfrom visionedge.cameras.source import X"
    assert not list(not_downward(snippet("visionedge.cameras.good", text)))


def test_the_module_imports_nothing_that_is_built_around_it() -> None:
    faults = broken(outside_imports, visionedge())
    assert not faults, f"the module must run without its tools and tests:\n{faults}"
    assert list(outside_imports(snippet("visionedge.app", "from devhub.broker import Broker")))


def test_devhub_stands_without_the_module() -> None:
    faults = broken(module_imports, sources("tools/devhub"))
    assert not faults, f"devhub serves any edge module, so it imports nothing of ours:\n{faults}"
    assert list(module_imports(snippet("devhub.bad", "from visionedge import wire")))


def test_the_cloud_knows_only_the_wire_and_the_data_sets() -> None:
    faults = broken(other_module_imports, sources("cloud"))
    assert not faults, f"the cloud half shares messages and data sets, nothing else:\n{faults}"
    for bad in ("from visionedge import errors", "import visionedge.settings", "import visionedge"):
        assert list(other_module_imports(snippet("cloud.bad", bad)))
    good = "from visionedge.wire import Verdict\nfrom visionedge import wire\n"
    good += "from visionedge.datasets.formats import export"
    assert not list(other_module_imports(snippet("cloud.good", good)))


def test_what_both_halves_share_needs_nothing_but_pydantic() -> None:
    shared = ("visionedge.wire", "visionedge.datasets")
    wire = [s for s in visionedge() if s.module == "visionedge" or s.is_in(*shared)]
    assert len(wire) > 8
    faults = broken(not_pydantic_or_standard, wire)
    assert not faults, f"a consumer of our messages installs pydantic only:\n{faults}"
    assert list(not_pydantic_or_standard(snippet("visionedge.wire", "import numpy")))


def test_every_layer_rule_reads_real_files() -> None:
    modules = {source.module for source in visionedge()}
    assert {"visionedge", "visionedge.wire", "visionedge.runtime.worker"} <= modules
    assert sources("tools/devhub")
