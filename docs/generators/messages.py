"""docs/reference/messages.md and the JSON Schemas beside it."""

from typing import Final

from docs.generators.fields import rows, schema_of
from docs.generators.markdown import field_table, page

from visionedge.settings import Settings
from visionedge.wire import MAX_MESSAGE_BYTES, MESSAGES, Message, Verdicts

_INTRODUCTION: Final = f"""
All messages are JSON in UTF-8 and name their own version in `schema`. Within a version
fields may be added; a change of meaning is a new version. A field without a value is left
out. Every message may come more than once: `id` stays the same, so remove duplicates by it.

Boxes are `[x1, y1, x2, y2]`, 0 to 1 of the picture that was sent; `image.crop` says which
part of the frame that picture is. A message with its properties is at most
{MAX_MESSAGE_BYTES // 1024} KiB.
"""
_WHERE: Final = {
    "escalation/1": "Goes up by output `escalation`.",
    "telemetry/1": "Goes up by output `telemetry`.",
    "health/1": "Goes up by output `health`.",
    "prediction/1": "Goes to another module by output `predictions`, for a JPEG that it sent to "
    "input `frames`: see [frames from another module](../how-to/frames-from-another-module.md).",
    "verdict-query/1": "Goes up by output `health` when the hub is there again, if escalations are "
    "without an answer.",
    "verdict/1": "Comes down by the direct method `applyVerdict`, one or many in `verdicts`.",
}


def messages_page() -> str:
    """The page."""
    parts = [_message(name, message) for name, message in MESSAGES.items()]
    return page("Messages", "modules/visionedge/wire.py", _INTRODUCTION, *parts)


def schemas() -> dict[str, dict[str, object]]:
    """File name to JSON Schema, for each message, the method's payload, and the settings."""
    found = {f"{name.replace('/', '-')}.json": schema_of(m) for name, m in MESSAGES.items()}
    found["apply-verdict.json"] = schema_of(Verdicts)
    found["settings.json"] = schema_of(Settings)
    return found


def _message(name: str, message: type[Message]) -> str:
    root = schema_of(message)
    file = f"{name.replace('/', '-')}.json"
    return (
        f"## `{name}`\n\n{_WHERE[name]} Schema: [{file}](schemas/{file}).\n\n"
        f"{field_table(rows(root, root))}"
    )
