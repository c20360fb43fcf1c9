"""The container's host: an event hub in, checkpoints out.

Partitions, leases and their takeover are the SDK's job (`EventHubConsumerClient` with a checkpoint
store): a distributed engine is not written twice. What is ours is to checkpoint a batch only when
all of it has come to an end, and to name the sender by what IoT Hub stamped on the message.

Sources: azure-eventhub 5.15; Microsoft Learn, "Read device-to-cloud messages".
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

from azure.eventhub import EventData, EventHubConsumerClient
from azure.eventhub.amqp import AmqpMessageBodyType
from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
from azure.identity import DefaultAzureCredential

from verifier.admit import MAX_BODY_BYTES, Meta
from verifier.build import Environment, checked_file, file_store, secret
from verifier.errors import SettingsRefused
from verifier.hosts.containers import container_of, readable
from verifier.hosts.worker import Worker
from verifier.settings import EventsSettings, StoreSettings
from verifier.stores.blob import BlobStore
from verifier.stores.store import Store

log: Final = logging.getLogger(__name__)
_DEVICE: Final = b"iothub-connection-device-id"
_MODULE: Final = b"iothub-connection-module-id"
_SCHEMA: Final = b"schema"
_FROM_START: Final = "-1"
_WAIT_S: Final = 5.0


class Partition(Protocol):
    """What of the SDK's context is used."""

    partition_id: str

    def update_checkpoint(self, event: EventData | None = None) -> None:
        """Everything up to this event was handled."""


def meta_of(event: EventData, partition_id: str) -> Meta:
    """Who sent it, and where it stands."""
    stamped: Mapping[bytes, Any] = event.system_properties
    return Meta(
        _text(stamped.get(_DEVICE)),
        _text(stamped.get(_MODULE)),
        event.enqueued_time,
        f"{partition_id}/{event.offset}",
    )


def body_of(event: EventData) -> bytes:
    """The body whole; a little more than is allowed is enough to refuse the rest."""
    if event.body_type is not AmqpMessageBodyType.DATA:
        return b""  # IoT Hub sends bytes only; the core sets this aside.
    body = event.body
    parts: Iterable[bytes] = [body] if isinstance(body, bytes) else cast("Iterable[bytes]", body)
    whole = b"".join(parts)
    return whole[: MAX_BODY_BYTES + 1]


def is_escalation(event: EventData) -> bool:
    """True for escalations and queries; false for telemetry and health, which have other routes.

    A version that is not known is one all the same, and the core sets it aside by that name.
    """
    schema = (event.properties or {}).get(_SCHEMA)
    return schema is None or _text(schema).startswith(("escalation/", "verdict-query/"))


def on_batch(worker: Worker, partition: Partition, events: Sequence[EventData]) -> None:
    """Handle a batch, and checkpoint it if all of it came to an end."""
    wanted = [event for event in events if is_escalation(event)]
    messages = [(body_of(event), meta_of(event, partition.partition_id)) for event in wanted]
    if events and worker.take(messages):
        partition.update_checkpoint(events[-1])


def receive(client: EventHubConsumerClient, worker: Worker, batch: int) -> None:
    """Receive until the client is closed."""

    def batch_came(partition: Any, events: list[EventData]) -> None:  # noqa: ANN401 - the SDK's
        on_batch(worker, partition, events)

    def went_wrong(partition: Any, error: Exception) -> None:  # noqa: ANN401 - the SDK's
        where = partition.partition_id if partition else "the hub"
        log.warning("receiving from %s: %s", where, type(error).__name__)

    client.receive_batch(
        batch_came,
        max_batch_size=batch,
        max_wait_time=_WAIT_S,
        starting_position=_FROM_START,
        on_error=went_wrong,
    )


def consumer(
    events: EventsSettings, store: StoreSettings, environment: Environment
) -> EventHubConsumerClient:
    """The client, with its checkpoints in the ledger's container."""
    if events.ca_file and not Path(events.ca_file).is_file():
        raise SettingsRefused(f"events.ca_file: there is no {events.ca_file}")
    how: dict[str, Any] = {
        "checkpoint_store": checkpoint_store(store, environment),
        "load_balancing_interval": events.balance_s,
        "connection_verify": events.ca_file or None,
    }
    if events.connection_string_env:
        field = "events.connection_string_env"
        text = secret(environment, events.connection_string_env, field)
        with readable(f"{field}: the variable {events.connection_string_env}"):
            return EventHubConsumerClient.from_connection_string(
                text, events.consumer_group, eventhub_name=events.name, **how
            )
    if not events.namespace:
        raise SettingsRefused("events: give namespace, or connection_string_env")
    with readable("events.namespace"):
        return EventHubConsumerClient(
            events.namespace, events.name, events.consumer_group, DefaultAzureCredential(), **how
        )


def checkpoint_store(store: StoreSettings, environment: Environment) -> BlobCheckpointStore:
    """Checkpoints need blob storage: a file cannot balance partitions between machines."""
    if store.file:
        raise SettingsRefused("store.file: the event hub worker needs blob storage")
    if store.connection_string_env:
        field = "store.connection_string_env"
        text = secret(environment, store.connection_string_env, field)
        with readable(f"{field}: the variable {store.connection_string_env}"):
            return BlobCheckpointStore.from_connection_string(text, store.container)
    with readable("store.account_url"):
        return BlobCheckpointStore(store.account_url, store.container, DefaultAzureCredential())


def store_of(store: StoreSettings, environment: Environment) -> Store:
    """Where the ledger is kept."""
    if store.file:
        return file_store(store.file)
    if not (container := container_of(store, store.container, environment)):
        raise SettingsRefused("store: give account_url, connection_string_env or file")
    return BlobStore(container)


def check(events: EventsSettings, store: StoreSettings, environment: Environment) -> None:
    """Build ledger and client as the worker would, without a file or a connection.

    Without a namespace there is no client: Azure Functions has its own.

    Raises:
        SettingsRefused: one of them cannot be built.
    """
    if store.file:
        checked_file(store.file)
    else:
        store_of(store, environment)
    if events.namespace or events.connection_string_env:
        consumer(events, store, environment).close()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""
