"""An Event Hubs namespace with one event hub on loopback, for the real azure-eventhub SDK.

    from eventhub.server import EventHub

    with EventHub(partitions=4) as hub:
        client = EventHubConsumerClient.from_connection_string(
            hub.connection_string, "verifier", connection_verify=str(hub.ca_file))
        hub.send(Event(b"{}"))

AMQP 1.0 over TLS by Apache Qpid Proton, which is the extra `loop`: `make proton`. It has what a
worker meets: partitions, offsets, epochs that take a partition over, tokens by `$cbs`, and the
hub's properties by `$management`. It has no senders, no capture, no geo-replication, no quotas.
"""
