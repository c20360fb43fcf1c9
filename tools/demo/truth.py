"""Does the module tell the truth? Its twin against itself, and its ledger against the hub."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from devhub import DevHub, DevHubError
from visionedge.metrics import Metrics
from visionedge.uplink.spool import Spool

_ASK_S: Final = 5.0


def twin_faults(hub: DevHub, version: int) -> list[str]:
    """What the twin does not say, or says wrongly, of the desired version.

    Every section that is desired must be answered with 200 and that version, each value must
    be the one in use, and the facts must be those that the module gives when it is asked.
    """
    try:
        status = _asked(hub, "status")
        told = _asked(hub, "diagnostics")
    except DevHubError as error:
        return [f"the module does not answer: {error}"]
    wrong = []
    for section, desired in hub.desired.items():
        answer = hub.reported.get(section, {})
        if (answer.get("av"), answer.get("ac")) != (version, 200):
            wrong.append(f"the twin says of {section}: {answer}, and {version} is desired")
        in_use = told["settings"].get(section, {})
        for path, value in _leaves(answer.get("value", {})):
            if value not in (_at(desired, path), None) or value != _at(in_use, path):
                wrong.append(f"the twin says {section}.{'.'.join(path)} is {value}, it is not")
    wrong += _fact_faults(hub.reported, status)
    if status["spool"]["unanswered"] or status["stuck"]:
        wrong.append(f"status says {status['spool']}, stuck {status['stuck']}")
    return wrong


def _asked(hub: DevHub, method: str) -> dict[str, Any]:
    answer = hub.invoke_method(method, {}, _ASK_S)
    if answer.status != 200:
        raise DevHubError(f"{method} answers {answer.status}")
    return dict(answer.payload)


def _fact_faults(reported: Mapping[str, Any], status: Mapping[str, Any]) -> list[str]:
    pairs = {
        "settings_revision": (
            _at(reported, ("module", "settings_revision")),
            status["settings_revision"],
        ),
        "camera states": (_at(reported, ("camera", "states")), status["cameras"]),
        "link": (_at(reported, ("connectivity", "state")), status["link"]),
    }
    return [
        f"the twin says {name} is {said}, and status says {real}"
        for name, (said, real) in pairs.items()
        if said != real
    ]


def ledger_faults(hub: DevHub, spool_path: Path) -> list[str]:
    """What does not add up in the spool that a module left behind, or is not at the hub."""
    spool = Spool(spool_path, max_bytes=10**9, max_age_s=10**7, metrics=Metrics())
    ledger, backlog = spool.ledger(), spool.backlog()
    spool.close()
    faults = []
    for kind, lying in backlog.items():
        entries = {entry: tally.messages for (of, entry), tally in ledger.items() if of is kind}
        put = entries.pop("put", 0)
        out = sum(entries.values()) + lying.messages
        arrived = len(hub.ids(str(kind)))
        print(f"{kind}: put {put}, {entries}, waiting {lying.messages}, at the hub {arrived}")
        if put != out:
            faults.append(f"{kind}: {put} were put, and {out} are accounted for")
        if arrived < entries.get("delivered", 0) + entries.get("settled", 0):
            faults.append(f"{kind}: the hub has {arrived}, fewer than the ledger says")
    return faults


def _leaves(
    document: Mapping[str, Any], prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def _at(document: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document
