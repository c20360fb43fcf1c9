"""An event hub on loopback, where proton is installed, and readers of it by Azure's own SDK."""

import importlib.util
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.eventhub import EventData, EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore

if TYPE_CHECKING:
    from eventhub.server import EventHub

PATIENCE_S = 30.0


def event_hub(**how: Any) -> "EventHub":  # noqa: ANN401 - what an EventHub takes
    """One that is to be entered; skips, saying so, where proton is not installed."""
    if importlib.util.find_spec("proton") is None:
        pytest.skip("python-qpid-proton is not installed: `make proton`")
    from eventhub.server import EventHub

    return EventHub(**how)


@dataclass(eq=False)
class ReaderOfAll:
    """A consumer client that receives in a thread, and what it got."""

    client: EventHubConsumerClient
    got: list[tuple[str, EventData]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def bodies(self) -> list[bytes]:
        """What came, in its order."""
        return [b"".join(cast("Iterable[bytes]", event.body)) for _, event in self.got]


@contextmanager
def reading(
    hub: "EventHub",
    *,
    checkpoints: BlobCheckpointStore | None = None,
    checkpoint: bool = False,
    **how: Any,  # noqa: ANN401 - what receive_batch takes
) -> Iterator[ReaderOfAll]:
    """The SDK's consumer, unpatched, over TLS."""
    client = EventHubConsumerClient.from_connection_string(
        hub.connection_string,
        "verifier",
        checkpoint_store=checkpoints,
        connection_verify=str(hub.ca_file),
        load_balancing_interval=0.5,
        retry_backoff_factor=0.1,
    )
    reader = ReaderOfAll(client)

    def came(partition: Any, events: Sequence[EventData]) -> None:  # noqa: ANN401 - the SDK's
        reader.got.extend((partition.partition_id, event) for event in events)
        if checkpoint and events:
            partition.update_checkpoint(events[-1])

    def failed(_: Any, error: Exception) -> None:  # noqa: ANN401 - the SDK's
        reader.errors.append(error)

    options = {"starting_position": "-1", "max_wait_time": 0.2, "on_error": failed, **how}
    thread = threading.Thread(target=client.receive_batch, args=(came,), kwargs=options)
    thread.start()
    try:
        yield reader
    finally:
        client.close()
        thread.join(PATIENCE_S)


def until(happened: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return once `happened`; fail, saying `what` did not come."""
    never = threading.Event()
    deadline_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        never.wait(0.02)
