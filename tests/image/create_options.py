"""The create options of a manifest as the flags of `podman run` that mean the same.

Every option has its line here. One that has none raises: an option that no test ever ran
under is worth nothing, so a new one must be translated first.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_Flags = Iterable[str]


def podman_flags(options: Mapping[str, Any], folders: Mapping[str, str]) -> list[str]:
    """The flags of a module's create options.

    Args:
        options: `createOptions` as an object.
        folders: stands for the folders of the device: host path in the options to one here.

    Raises:
        KeyError: an option has no translation, or a folder is missing in `folders`.
    """
    flags: list[str] = []
    for name, value in options.items():
        if name == "HostConfig":
            for inner, setting in value.items():
                flags += _HOST[inner](setting, folders)
        else:
            flags += _CONTAINER[name](value)
    return flags


def limits(options: Mapping[str, Any], data: Path) -> list[str]:
    """The flags of our own module, with `data` as the device's folder."""
    return podman_flags(options, {"/srv/visionedge/data": str(data)})


def _health(check: Mapping[str, Any]) -> Iterator[str]:
    yield f"--health-cmd={json.dumps(check['Test'])}"
    yield f"--health-interval={_seconds(check['Interval'])}"
    yield f"--health-timeout={_seconds(check['Timeout'])}"
    yield f"--health-start-period={_seconds(check['StartPeriod'])}"
    yield f"--health-retries={check['Retries']}"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}s"


def _binds(binds: Iterable[str], folders: Mapping[str, str]) -> Iterator[str]:
    for bind in binds:
        host, inside = bind.split(":", 1)
        yield f"--volume={folders[host]}:{inside}"


def _tmpfs(mounts: Mapping[str, str], _: Mapping[str, str]) -> Iterator[str]:
    for path, options in mounts.items():
        yield f"--tmpfs={path}:{options}"


def _log(config: Mapping[str, Any], _: Mapping[str, str]) -> Iterator[str]:
    yield f"--log-driver={config['Type']}"
    # podman keeps one file, so that `max-file` has no counterpart.
    yield f"--log-opt=max-size={config['Config']['max-size']}"


def _devices(devices: Iterable[Mapping[str, str]], folders: Mapping[str, str]) -> Iterator[str]:
    for device in devices:
        host = folders[device["PathOnHost"]]
        yield f"--device={host}:{device['PathInContainer']}:{device['CgroupPermissions']}"


def _security(options: Iterable[str], _: Mapping[str, str]) -> Iterator[str]:
    for option in options:
        # podman 4.3 takes the bare word only.
        yield f"--security-opt={option.removesuffix(':true')}"


_CONTAINER: Final[dict[str, Callable[[Any], _Flags]]] = {
    "User": lambda user: [f"--user={user}"],
    "StopTimeout": lambda seconds: [f"--stop-timeout={seconds}"],
    "Healthcheck": _health,
}
_HOST: Final[dict[str, Callable[[Any, Mapping[str, str]], _Flags]]] = {
    "Binds": _binds,
    "CapDrop": lambda names, _: [f"--cap-drop={name.lower()}" for name in names],
    "Devices": _devices,
    "GroupAdd": lambda names, _: [f"--group-add={name}" for name in names],
    "Init": lambda wanted, _: [f"--init={str(wanted).lower()}"],
    "LogConfig": _log,
    "Memory": lambda size, _: [f"--memory={size}"],
    "MemorySwap": lambda size, _: [f"--memory-swap={size}"],
    "NanoCpus": lambda nano, _: [f"--cpus={nano / 1e9:g}"],
    "PidsLimit": lambda count, _: [f"--pids-limit={count}"],
    "ReadonlyRootfs": lambda wanted, _: [f"--read-only={str(wanted).lower()}"],
    "SecurityOpt": _security,
    "Tmpfs": _tmpfs,
}
