"""Blob storage on loopback: Azurite, Microsoft's emulator, behind TLS, and the ledger in it."""

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from azure.storage.blob import ContainerClient

from devhub.authority import Authority
from devhub.opened import Opened
from loop.journal import Journal, Step
from verifier.ledger import Entry, State

CONTAINER: Final = "verifier"
CA_FILE: Final = "ca.pem"
"""In the folder of a run: who signs for its services."""
_START_S: Final = 30.0
_ACCOUNT: Final = "devstoreaccount1"
_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The emulator's published key; it opens nothing else."""
_LEDGER: Final = "ledger/"
_STEPS: Final = {State.CLAIMED: Step.CLAIMED, State.VERIFIED: Step.VERIFIED}


class StorageAbsent(Exception):
    """Azurite or node is not installed; the message says what to do."""


def find_azurite(root: Path) -> str:
    """The program that `make azurite` installs.

    Raises:
        StorageAbsent: It is not there.
    """
    program = shutil.which("azurite-blob", path=str(root / ".azurite/node_modules/.bin"))
    if program is None or shutil.which("node") is None:
        raise StorageAbsent("Azurite is not installed: install node and npm, then `make azurite`")
    return program


class Storage(Opened):
    """A storage account with one container, in a `with` block."""

    def __init__(self, program: str, address: str, authority: Authority, ca_file: Path) -> None:
        self._program = program
        self._address = address
        self._authority = authority
        self._ca_file = ca_file

    @property
    def connection_string(self) -> str:
        """Of the account."""
        return (
            f"DefaultEndpointsProtocol=https;AccountName={_ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint=https://{self._address}:{self._port}/{_ACCOUNT};"
        )

    def _open(self, undo: ExitStack) -> None:
        folder = Path(tempfile.mkdtemp(prefix="azurite-"))
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        self._authority.server_context(self._address, (), folder)
        self._port = _free_port(self._address)
        process = self._start(folder)
        undo.callback(_end, process)
        _await_port(self._address, self._port)
        self.container = undo.enter_context(
            ContainerClient.from_connection_string(
                self.connection_string, CONTAINER, connection_verify=str(self._ca_file)
            )
        )
        self.container.create_container()

    def read_into(self, journal: Journal) -> None:
        """Tell the journal what the ledger says of each escalation that is not at its end."""
        ended = {story.id for story in journal.stories() if story.is_ended}
        for key in self.container.list_blob_names(name_starts_with=_LEDGER):
            if key.rpartition("/")[2] in ended:
                continue
            entry = Entry.model_validate_json(self.container.download_blob(key).readall())
            at = {_STEPS[s]: when for s, when in entry.reached_at.items() if s in _STEPS}
            journal.stands(entry.escalation_id, entry.state, entry.reason, at)

    def open_cases(self) -> int:
        """Cases that the ledger lists as not at their end."""
        return len(list(self.container.list_blob_names(name_starts_with="open/")))

    def dead_letters(self) -> dict[str, int]:
        """Messages that were set aside, by reason: `dead/YYYY/MM/DD/REASON/…`."""
        counts: dict[str, int] = {}
        for key in self.container.list_blob_names(name_starts_with="dead/"):
            reason = key.split("/")[4]
            counts[reason] = counts.get(reason, 0) + 1
        return counts

    def _start(self, folder: Path) -> "subprocess.Popen[bytes]":
        where = ["--blobHost", self._address, "--blobPort", str(self._port)]
        tls = ["--cert", str(folder / "server.pem"), "--key", str(folder / "server.key")]
        flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
        return subprocess.Popen(
            [self._program, *where, *tls, *flags], cwd=folder, stdout=subprocess.DEVNULL
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(10)


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])


def _await_port(address: str, port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection((address, port), 1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return
