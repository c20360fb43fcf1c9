"""In the cloud half too each vendor has one home, and the core knows neither host nor vendor."""

from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, imports, snippet, sources

HOMES: Final[dict[str, tuple[str, ...]]] = {
    "azure.storage": ("verifier.stores.blob", "verifier.stores.blob_shelf", "verifier.hosts"),
    "azure.eventhub": ("verifier.hosts",),
    "azure.functions": ("functions.function_app",),
    "azure.identity": ("verifier.hosts", "verifier.identity"),
    "boto3": ("verifier.backends.rekognition",),
    "botocore": ("verifier.backends.rekognition",),
    "onnxruntime": (),
    "cv2": ("verifier.backends.local_model",),
    "urllib3": ("verifier.http", "verifier.in_time"),
    "sqlite3": ("verifier.stores.sqlite",),
    "prometheus_client": ("verifier.hosts",),
}
"""Vendor to where it may be imported: the module or what is below it."""
_EDGES: Final = (
    "verifier.hosts", "functions", "verifier.__main__", "verifier.build",
    "verifier.dataset.commands",
)  # fmt: skip


def strangers(source: Source) -> Iterator[Fault]:
    """Imports of a vendor outside its home."""
    for imported in imports(source):
        for vendor, homes in HOMES.items():
            if imported.is_from(vendor) and not source.is_in(*homes):
                yield Fault(source.path, imported.line, f"`{vendor}` lives in: {', '.join(homes)}")


def host_imports(source: Source) -> Iterator[Fault]:
    """Imports of a host by what a host is built from."""
    if not source.is_in(*_EDGES):
        for imported in imports(source):
            if imported.is_from("verifier.hosts"):
                yield Fault(source.path, imported.line, "the core knows no host")


def backends_that_know_each_other(source: Source) -> Iterator[Fault]:
    """Imports of the ledger or of the core by a backend."""
    if source.is_in("verifier.backends"):
        for imported in imports(source):
            for part in ("core", "ledger", "courier", "budget", "asking"):
                if imported.is_from(f"verifier.{part}"):
                    yield Fault(source.path, imported.line, f"a backend knows no {part}")


def test_each_vendor_of_the_cloud_half_has_one_home() -> None:
    faults = broken(strangers, sources("cloud"))
    assert not faults, f"a vendor has one home:\n{faults}"
    assert list(strangers(snippet("verifier.core", "import boto3")))
    assert list(strangers(snippet("verifier.ledger", "from azure.storage.blob import BlobClient")))


def test_the_core_knows_no_host() -> None:
    faults = broken(host_imports, sources("cloud"))
    assert not faults, f"hosts are built from the core, not the other way round:\n{faults}"
    assert list(host_imports(snippet("verifier.core", "from verifier.hosts import metrics")))


@pytest.mark.parametrize("part", ["core", "ledger"])
def test_a_backend_only_looks_at_pictures(part: str) -> None:
    faults = broken(backends_that_know_each_other, sources("cloud/verifier/backends"))
    assert not faults, faults
    bad = snippet("verifier.backends.bad", f"from verifier.{part} import X")
    assert list(backends_that_know_each_other(bad))


def test_the_rules_read_real_files() -> None:
    modules = {source.module for source in sources("cloud")}
    assert {"verifier.core", "verifier.stores.blob", "verifier.backends"} <= modules
