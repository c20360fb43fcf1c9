"""Messages as Event Hubs and IoT Hub write them, in proton's words.

Annotations are keyed by symbols and times are AMQP's timestamps. What IoT Hub stamps on a message
that it routes are annotations too: a device cannot write them.

Source: Microsoft Learn, "AMQP 1.0 in Azure Service Bus and Event Hubs protocol guide".
"""

import datetime as dt
from typing import Any, Final

from proton import Message, symbol, timestamp

from eventhub.broker import Broker
from eventhub.log import Partition, Stored

HUB_TYPE: Final = "com.microsoft:eventhub"
PARTITION_TYPE: Final = "com.microsoft:partition"


def event_message(stored: Stored) -> bytes:
    """An event as a reader gets it."""
    event = stored.event
    annotations: dict[Any, Any] = {
        symbol("x-opt-sequence-number"): stored.sequence,
        symbol("x-opt-offset"): stored.offset,
        symbol("x-opt-enqueued-time"): _timestamp(stored.enqueued_at),
    }
    if event.key:
        annotations[symbol("x-opt-partition-key")] = event.key
    for name, value in event.system.items():
        annotations[symbol(name)] = value if isinstance(value, str) else _timestamp(value)
    message = Message(body=event.body, inferred=True)
    message.annotations = annotations
    message.properties = dict(event.properties) or None
    if event.message_id:
        message.id = event.message_id
    if event.content_type:
        message.content_type = symbol(event.content_type)
    if event.content_encoding:
        message.content_encoding = symbol(event.content_encoding)
    return bytes(message.encode())


def token_answer(request: Message, status: int, said: str) -> bytes:
    """What `$cbs` answers."""
    return _answer(request, {"status-code": status, "status-description": said}, None)


def management_answer(request: Message, broker: Broker) -> bytes:
    """What `$management` answers: properties of the hub, or of a partition."""
    asked = request.properties or {}
    partition = broker.partitions.get(str(asked.get("partition")))
    if asked.get("operation") != "READ" or asked.get("name") != broker.name:
        return _answer(request, _status(404, "no such entity"), None)
    if asked.get("type") == HUB_TYPE:
        return _answer(request, _status(200, "OK"), _hub(broker))
    if asked.get("type") == PARTITION_TYPE and partition is not None:
        return _answer(request, _status(200, "OK"), _partition(broker, partition))
    return _answer(request, _status(404, "no such entity"), None)


def _status(code: int, said: str) -> dict[str, Any]:
    return {"status-code": code, "status-description": said}


def _hub(broker: Broker) -> dict[str, Any]:
    return {
        "name": broker.name,
        "type": HUB_TYPE,
        "created_at": _timestamp(broker.created_at),
        "partition_count": len(broker.partitions),
        "partition_ids": list(broker.partitions),
    }


def _partition(broker: Broker, partition: Partition) -> dict[str, Any]:
    last = partition.last
    return {
        "name": broker.name,
        "type": PARTITION_TYPE,
        "partition": partition.id,
        "begin_sequence_number": partition.first_sequence,
        "last_enqueued_sequence_number": partition.end - 1,
        "last_enqueued_offset": last.offset if last else "-1",
        "last_enqueued_time_utc": _timestamp(last.enqueued_at if last else broker.created_at),
        "is_partition_empty": last is None,
    }


def _answer(request: Message, properties: dict[str, Any], body: object) -> bytes:
    answer = Message(body=body)
    answer.correlation_id = request.id
    answer.properties = properties
    return bytes(answer.encode())


def _timestamp(when: dt.datetime) -> timestamp:
    return timestamp(int(when.timestamp() * 1000))
