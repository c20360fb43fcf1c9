"""What edgeAgent or Docker would refuse, or overlook, in the definition of a module.

A misspelt option is the worst of them: Docker takes no notice of it, and the container runs
without its limits.

Not promised: that Docker takes the rest. A name that is like none we know is left alone, for
a later Docker may have it.

Source: Azure IoT Edge's public schema of edgeAgent; Docker Engine API v1.47, `ContainerCreate`.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_WORDS: Final = {
    "restartPolicy": ("never", "on-failure", "on-unhealthy", "always"),
    "status": ("running", "stopped"),
    "imagePullPolicy": ("never", "on-create"),
}
_OPTIONS: Final = """
Hostname Domainname User AttachStdin AttachStdout AttachStderr ExposedPorts Tty OpenStdin StdinOnce
Env Cmd Healthcheck ArgsEscaped Image Volumes WorkingDir Entrypoint NetworkDisabled MacAddress
OnBuild Labels StopSignal StopTimeout Shell HostConfig NetworkingConfig Name Platform
"""
_HOST: Final = """
CpuShares Memory CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps
BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime
CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests DiskQuota KernelMemory
KernelMemoryTCP MemoryReservation MemorySwap MemorySwappiness NanoCpus OomKillDisable Init
PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth Binds ContainerIDFile
LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom Mounts
ConsoleSize Annotations CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd
IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt
StorageOpt Tmpfs UTSMode UsernsMode ShmSize Sysctls Runtime Isolation MaskedPaths ReadonlyPaths
"""
_WHOLE: Final = """
StopTimeout CpuShares Memory BlkioWeight CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime
KernelMemory KernelMemoryTCP MemoryReservation MemorySwap MemorySwappiness NanoCpus PidsLimit
CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth OomScoreAdj ShmSize
"""
"""Options that Docker takes as whole numbers only."""
_LIKE: Final = 0.8


def faults(path: str, module: Mapping[str, Any]) -> Iterator[str]:
    """`path: what is wrong` of each fault in a module's definition.

    Args:
        path: of the module in the manifest.
        module: its definition, with create options as an object.
    """
    for name, words in _WORDS.items():
        if name in module and str(module[name]).lower() not in words:
            yield f"{path}.{name}: {_shown(module[name])} is none of {', '.join(words)}"
    settings = module.get("settings")
    if "settings" in module and not isinstance(settings, Mapping):
        yield f"{path}.settings: {_shown(settings)} is no object with an `image`"
    yield from _env(f"{path}.env", module.get("env", {}))
    options = settings.get("createOptions") if isinstance(settings, Mapping) else None
    path = f"{path}.settings.createOptions"
    if isinstance(options, Mapping):
        yield from _options(path, options, _OPTIONS)
        for name, inner in options.items():
            if name.lower() == "hostconfig" and isinstance(inner, Mapping):
                yield from _options(f"{path}.{name}", inner, _HOST)
    elif isinstance(options, str) and options.strip():
        yield f"{path}: it is no JSON object"


def _env(path: str, env: object) -> Iterator[str]:
    if not isinstance(env, Mapping):
        yield f"{path}: {_shown(env)} is no object of names"
        return
    for name, each in env.items():
        if not isinstance(each, Mapping) or "value" not in each:
            yield f'{path}.{name}: {_shown(each)} is no value; write {{"value": ...}}'


def _options(path: str, options: Mapping[str, Any], known: str) -> Iterator[str]:
    # Docker and edgeAgent read names in whatever case.
    names = {name.lower(): name for name in known.split()}
    for name, value in options.items():
        if name.lower() not in names:
            if like := difflib.get_close_matches(name.lower(), names, n=1, cutoff=_LIKE):
                yield f"{path}.{name}: there is no such option; is it `{names[like[0]]}`?"
        elif names[name.lower()] in _WHOLE.split() and value is not None and type(value) is not int:
            yield f"{path}.{name}: {_shown(value)} is no whole number, as Docker wants it"


def _shown(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)[:80]}`"
