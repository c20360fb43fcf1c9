"""The Azure Functions app: thirty lines around `verifier.hosts.functions`.

Settings are the file that `VERIFIER_SETTINGS` names, read at the first call, so that importing
this does nothing. See docs/how-to/deploy-the-verifier.md.
"""

import os
from functools import cache
from pathlib import Path

import azure.functions as func

from verifier.admit import Meta
from verifier.build import build
from verifier.hosts.event_hub import store_of
from verifier.hosts.functions import FunctionsHost
from verifier.hosts.shelves import shelf_of
from verifier.settings import read_settings

app = func.FunctionApp()


@cache
def host() -> FunctionsHost:
    """The verifier of this instance."""
    settings = read_settings(Path(os.environ["VERIFIER_SETTINGS"]))
    store, shelf = store_of(settings.store, os.environ), shelf_of(settings, os.environ)
    return FunctionsHost(build(settings, os.environ, store, shelf=shelf))


def meta_of(event: func.EventHubEvent) -> Meta:
    """Who sent it, as IoT Hub stamped it."""
    stamped = event.iothub_metadata or {}
    return Meta(
        stamped.get("connection-device-id", ""),
        stamped.get("connection-module-id", ""),
        event.enqueued_time,
        str(event.offset or ""),
    )


@app.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%VERIFIER_EVENT_HUB%",
    connection="VERIFIER_EVENTS",
    consumer_group="verifier",
    cardinality=func.Cardinality.MANY,
    data_type=func.DataType.BINARY,
)
def verify(events: list[func.EventHubEvent]) -> None:
    """Escalations in."""
    host().take([(event.get_body(), meta_of(event)) for event in events])


@app.timer_trigger(schedule="*/30 * * * * *", arg_name="timer")
def deliver(timer: func.TimerRequest) -> None:
    """Verdicts out, to modules that were away."""
    host().deliver()
