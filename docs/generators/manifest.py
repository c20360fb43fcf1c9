"""The twin defaults of deployment.template.json, and the templates that are made of it.

Only what an operator changes in a running line: all else stays at its default, and a small
twin leaves room below the hub's 32 KB.

The templates under `deploy/` differ from the main one in a few lines that matter: what a
kind of camera needs, or nothing but our own module. They are generated, so that a limit or
a route that changes there changes everywhere.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visionedge.settings import DEFAULTS

MODULE: Final = "visionedge"
_ASKER: Final = "grabber"
_SHOWN: Final[dict[str, Any]] = {
    "cameras": {"line-1": {"kind": {}, "model": {}, "max_fps": {}, "expect_objects": {}}},
    "models": {"default": {"path": {}, "floor": {}}},
    "decision": {"accept": {}, "margin": {}},
    "escalation": {"enabled": {}, "min_interval_s": {}, "ttl_s": {}},
    "telemetry": {"interval_s": {}},
}


def desired() -> dict[str, Any]:
    """The desired properties that a first deployment sets."""
    return {section: _picked(DEFAULTS[section], shown) for section, shown in _SHOWN.items()}


def with_desired(template: Path) -> str:
    """The template as it should be: as it is, with the twin defaults of today."""
    return _text(_current(template))


def variants(template: Path) -> dict[str, str]:
    """Templates that are the main one but for what a site differs in: path to text."""
    return {
        "deploy/rtsp.template.json": _text(_rtsp(_current(template))),
        "deploy/usb.template.json": _text(_usb(_current(template))),
        "deploy/input.template.json": _text(_input(_current(template))),
        "deploy/layers/visionedge.template.json": _text(_layer(_current(template))),
    }


def _current(template: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))
    manifest["modulesContent"][MODULE] = {"properties.desired": desired()}
    return manifest


def _rtsp(manifest: dict[str, Any]) -> dict[str, Any]:
    """A network camera. Its password is in the module's environment, never in its twin."""
    module = _module(manifest)
    module["env"]["CAMERA_USER"] = {"value": "${CAMERA_USER}"}
    module["env"]["CAMERA_PASSWORD"] = {"value": "${CAMERA_PASSWORD}"}
    address = "rtsp://${env:CAMERA_USER}:${env:CAMERA_PASSWORD}@${CAMERA_HOST}/${CAMERA_PATH}"
    _set_camera(manifest, {"kind": "stream", "model": "default", "url": address, "max_fps": 15.0})
    return manifest


def _usb(manifest: dict[str, Any]) -> dict[str, Any]:
    """A camera of the device: handed in alone, with the group that may open it."""
    host = _module(manifest)["settings"]["createOptions"]["HostConfig"]
    host["Devices"] = [
        {
            "PathOnHost": "${CAMERA_DEVICE}",
            "PathInContainer": "/dev/video0",
            "CgroupPermissions": "rw",
        }
    ]
    host["GroupAdd"] = ["${VIDEO_GROUP}"]
    _set_camera(
        manifest,
        {"kind": "usb", "model": "default", "device": "/dev/video0", "width_px": 1280,
         "height_px": 720, "fps": 30.0},
    )  # fmt: skip
    return manifest


def _input(manifest: dict[str, Any]) -> dict[str, Any]:
    """Another module instead of a camera: a way in for its frames, and one back for answers."""
    own = _module(manifest)["settings"]["createOptions"]["HostConfig"]
    agent = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    agent["modules"][_ASKER] = {
        "version": "1",
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "startupOrder": 1,
        "settings": {
            "image": "${GRABBER_IMAGE}",
            "createOptions": {"HostConfig": {"LogConfig": own["LogConfig"]}},
        },
    }
    routes = manifest["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    for source, target, name in (
        (_ASKER, MODULE, "frames"),
        (MODULE, _ASKER, "predictions"),
    ):
        way = f'INTO BrokeredEndpoint("/modules/{target}/inputs/{name}")'
        # Who asks waits for seconds: what lies longer only keeps what is fresh waiting.
        routes[name] = {
            "route": f"FROM /messages/modules/{source}/outputs/{name} {way}",
            "priority": 0,
            "timeToLiveSecs": 30,
        }
    _set_camera(manifest, {"kind": "input", "model": "default", "queue": 8})
    return manifest


def _layer(manifest: dict[str, Any]) -> dict[str, Any]:
    """Our module alone, for a fleet whose base deployment is made by others."""
    contents = manifest["modulesContent"]
    routes = contents["$edgeHub"]["properties.desired"]["routes"]
    return {
        "$schema-template": manifest["$schema-template"],
        "modulesContent": {
            "$edgeAgent": {f"properties.desired.modules.{MODULE}": _module(manifest)},
            "$edgeHub": {
                f"properties.desired.routes.{MODULE}-{name}": route
                for name, route in routes.items()
            },
            MODULE: contents[MODULE],
        },
    }


def _module(manifest: dict[str, Any]) -> dict[str, Any]:
    agent = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    module: dict[str, Any] = agent["modules"][MODULE]
    return module


def _set_camera(manifest: dict[str, Any], camera: dict[str, Any]) -> None:
    manifest["modulesContent"][MODULE]["properties.desired"]["cameras"] = {"line-1": camera}


def _text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _picked(value: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _picked(value[name], below) if below else value[name] for name, below in shown.items()
    }
