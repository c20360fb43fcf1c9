"""Which settings wait for the next start: those marked so in the tree, where they differ.

What is read once (the spool's file, the port, the number of threads) is taken by a patch
like everything else, and acts only in the next process. Saying 200 to that would be a lie,
so the twin is answered 202 with these paths. The mark is in the field itself, and so in the
schema, so that this list cannot be forgotten.
"""

from collections.abc import Iterator

from pydantic import BaseModel

from visionedge.settings.tree import Settings


def waits_for_start(started: Settings, now: Settings) -> tuple[str, ...]:
    """Dotted paths of the settings in `now` that act only at the next start.

    Args:
        started: the settings that the process began with.
        now: the settings in use.
    """
    return tuple(_different(started, now, ""))


def _different(started: BaseModel, now: BaseModel, prefix: str) -> Iterator[str]:
    for name, field in type(now).model_fields.items():
        before, after = getattr(started, name), getattr(now, name)
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("x-next-start"):
            if before != after:
                yield f"{prefix}{name}"
        elif isinstance(after, BaseModel):
            yield from _different(before, after, f"{prefix}{name}.")
