"""What the manifest asks of a container is what the image tests run it under."""

import pytest
from tests.deployment.manifest import own, template
from tests.image.create_options import podman_flags

DATA = {"/srv/visionedge/data": "/somewhere/data"}


def test_every_option_of_the_manifest_has_its_flag() -> None:
    flags = podman_flags(own(template())["settings"]["createOptions"], DATA)
    for flag in (
        "--user=10001:10001",
        "--cap-drop=all",
        "--read-only=true",
        "--init=true",
        "--security-opt=no-new-privileges",
        "--memory=805306368",
        "--memory-swap=805306368",
        "--cpus=2",
        "--pids-limit=128",
        "--volume=/somewhere/data:/data",
        "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=16m",
        "--log-opt=max-size=10m",
        "--stop-timeout=20",
        "--health-interval=30s",
    ):
        assert flag in flags


def test_a_camera_of_the_device_is_handed_in_with_its_group() -> None:
    options = {
        "HostConfig": {
            "Devices": [
                {
                    "PathOnHost": "/dev/video0",
                    "PathInContainer": "/dev/video0",
                    "CgroupPermissions": "rwm",
                }
            ],
            "GroupAdd": ["video"],
        }
    }
    assert podman_flags(options, {"/dev/video0": "/dev/null"}) == [
        "--device=/dev/null:/dev/video0:rwm",
        "--group-add=video",
    ]


@pytest.mark.parametrize("options", [{"Domainname": "x"}, {"HostConfig": {"Privileged": True}}])
def test_an_option_that_nothing_runs_under_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(KeyError):
        podman_flags(options, {})


def test_a_folder_of_the_device_is_never_mounted_as_it_is() -> None:
    with pytest.raises(KeyError):
        podman_flags({"HostConfig": {"Binds": ["/etc:/data"]}}, DATA)
