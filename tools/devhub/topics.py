"""The topics that IoT Hub gives a meaning to, as a module uses them.

Everything after `/messages/events/` or an input's name is a bag of `key=value` pairs, each side
percent-encoded. A '+' is a plus and never a space, so the form decoders of the standard library
would corrupt it. Ids stand in a topic as they are, not encoded.

Source: "Communicate with an IoT hub using the MQTT protocol", Microsoft Learn; the edgeHub adds
`$.on` (output name).
"""

from collections.abc import Mapping
from urllib.parse import quote, unquote

TWIN_ANSWERS = "$iothub/twin/res/#"
TWIN_PATCHES = "$iothub/twin/PATCH/properties/desired/#"
METHODS = "$iothub/methods/POST/#"
TWIN_GET = "$iothub/twin/GET/"
TWIN_REPORT = "$iothub/twin/PATCH/properties/reported/"
METHOD_ANSWER = "$iothub/methods/res/"

SYSTEM_NAMES: Mapping[str, str] = {
    "$.on": "output",
    "$.mid": "message_id",
    "$.cid": "correlation_id",
    "$.uid": "user_id",
    "$.ct": "content_type",
    "$.ce": "content_encoding",
    "$.exp": "expires_at",
}
"""What the short names in a telemetry topic mean."""


def events(device_id: str, module_id: str) -> str:
    """The topic prefix of a module's messages to its outputs."""
    return f"devices/{device_id}/modules/{module_id}/messages/events/"


def inputs(device_id: str, module_id: str) -> str:
    """The topic prefix of messages to a module's inputs."""
    return f"devices/{device_id}/modules/{module_id}/inputs/"


def input_message(
    device_id: str, module_id: str, input_name: str, properties: Mapping[str, str]
) -> str:
    """The topic of one message to an input."""
    return f"{inputs(device_id, module_id)}{quote(input_name, safe='')}/{encode_bag(properties)}"


def method_call(name: str, request_id: str) -> str:
    """The topic that calls a direct method."""
    return f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={request_id}"


def twin_answer(status: int, request_id: str, version: int | None = None) -> str:
    """The topic of the answer to a twin request."""
    tail = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={quote(request_id, safe='')}{tail}"


def twin_patch(version: int) -> str:
    """The topic that pushes a patch of the desired properties."""
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def query(topic: str) -> dict[str, str]:
    """The pairs after the question mark of a `$iothub` topic, such as `$rid`."""
    return decode_bag(topic.partition("?")[2])


def method_status(topic: str) -> int:
    """The status in `$iothub/methods/res/<status>/?$rid=...`.

    Raises:
        ValueError: The topic has no whole number there.
    """
    return int(topic[len(METHOD_ANSWER) :].partition("/")[0])


def decode_bag(bag: str) -> dict[str, str]:
    """Decodes `k=v&k2=v2`; a key without '=' gets an empty value."""
    pairs = (pair.partition("=") for pair in bag.split("&") if pair)
    return {unquote(key): unquote(value) for key, _, value in pairs}


def encode_bag(properties: Mapping[str, str]) -> str:
    """Encodes pairs so that `decode_bag`, and the SDK, read the same ones back."""
    return "&".join(
        f"{quote(key, safe='$.')}={quote(value, safe='')}" for key, value in properties.items()
    )


def matches(topic_filter: str, topic: str) -> bool:
    """Whether an MQTT topic filter takes a topic (MQTT 3.1.1, section 4.7)."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
