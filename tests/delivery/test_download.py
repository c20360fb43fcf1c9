"""Downloads: resumed, bounded, checked; and whatever goes wrong says so."""

import hashlib
import http.server
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from devhub.authority import Authority
from visionedge.delivery.download import Wanted, fetch
from visionedge.errors import ModelRefused, ModelUnavailable

BODY = bytes(range(256)) * 4096
SHA = hashlib.sha256(BODY).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """A file behind Range requests, which can be told to break off."""

    breaks_after: ClassVar[int | None] = None
    says_bytes: ClassVar[int | None] = len(BODY)
    drips: ClassVar[threading.Event | None] = None
    head_drips: ClassVar[threading.Event | None] = None
    status: ClassVar[int] = 200
    ranges: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.ranges.append(wanted)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        if self.status != 200:
            self.send_error(self.status)
            return
        if self.head_drips is not None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.head_drips.wait(0.05):
                self.wfile.write(b"x")
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if begin >= len(BODY):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        if self.says_bytes is not None:
            self.send_header("Content-Length", str(self.says_bytes - begin))
        self.end_headers()
        if self.drips is not None:
            while not self.drips.wait(0.05):
                self.wfile.write(b"x")
            return
        end = len(BODY) if self.breaks_after is None else begin + self.breaks_after
        self.wfile.write(BODY[begin:end])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its own."""


@pytest.fixture
def address() -> Iterator[str]:
    Server.breaks_after, Server.status, Server.ranges = None, 200, []
    Server.says_bytes, Server.drips, Server.head_drips = len(BODY), None, None
    with served() as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def secure_address(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same over TLS, by an authority that the environment names."""
    (keys := tmp_path / "keys").mkdir()
    authority = Authority()
    context = authority.server_context("127.0.0.1", (), keys)
    (keys / "ca.pem").write_text(authority.certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(keys / "ca.pem"))
    with served() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield f"https://127.0.0.1:{server.server_port}"


@contextmanager
def served() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def get(uri: str, target: Path, *, sha256: str = SHA, size: int = 0, most: int = 10**7) -> None:
    fetch(Wanted(uri, sha256, size, most, 20), target, threading.Event())


def test_a_file_of_the_web_arrives_whole(address: str, tmp_path: Path) -> None:
    get(f"{address}/model.zip", tmp_path / "new" / "bundle", size=len(BODY))
    assert (tmp_path / "new" / "bundle").read_bytes() == BODY
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bundle"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_of_the_device_arrives_whole(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "here.zip").write_bytes(BODY)
    get(f"{scheme}{tmp_path}/here.zip", tmp_path / "bundle")
    assert (tmp_path / "bundle").read_bytes() == BODY


def test_a_download_that_broke_off_goes_on_where_it_ended(address: str, tmp_path: Path) -> None:
    Server.breaks_after = 300_000
    with pytest.raises(ModelUnavailable):
        get(address, tmp_path / "bundle")
    Server.breaks_after = None
    get(address, tmp_path / "bundle")
    assert (tmp_path / "bundle").read_bytes() == BODY
    assert Server.ranges == [None, "bytes=300000-"]


def test_another_hash_is_refused_and_nothing_of_it_is_believed_again(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelRefused, match="sha256"):
        get(address, tmp_path / "bundle", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [b"of another file", b"x" * len(BODY), b"x" * (len(BODY) + 1)])
@pytest.mark.parametrize("size", [0, len(BODY)])
def test_what_is_left_of_another_file_costs_one_more_try(
    address: str, tmp_path: Path, left: bytes, size: int
) -> None:
    (tmp_path / "bundle.part").write_bytes(left)
    with pytest.raises(ModelUnavailable, match="fetched anew"):
        get(address, tmp_path / "bundle", size=size)
    get(address, tmp_path / "bundle", size=size)
    assert (tmp_path / "bundle").read_bytes() == BODY


@pytest.mark.parametrize(("size", "most"), [(1000, 10**7), (0, 1000), (10**6 * 9, 1000)])
def test_more_than_was_said_or_allowed_is_refused(
    address: str, tmp_path: Path, size: int, most: int
) -> None:
    with pytest.raises(ModelRefused, match="more than"):
        get(address, tmp_path / "bundle", size=size, most=most)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_answer_that_will_not_change_is_a_refusal(
    address: str, tmp_path: Path, status: int
) -> None:
    Server.status = status
    with pytest.raises(ModelRefused, match=str(status)):
        get(f"{address}/m?sig=verysecret", tmp_path / "bundle")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_may_change_is_tried_again(
    address: str, tmp_path: Path, status: int
) -> None:
    Server.status = status
    with pytest.raises(ModelUnavailable) as caught:
        get(f"{address}/m?sig=verysecret", tmp_path / "bundle")
    assert "verysecret" not in str(caught.value)


def test_a_redirect_cannot_lead_to_a_file(address: str, tmp_path: Path) -> None:
    with pytest.raises((ModelUnavailable, ModelRefused)):
        get(f"{address}/moved", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_nobody_there_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        get("http://127.0.0.1:9/model", tmp_path / "bundle")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="no file"):
        get(str(tmp_path / "nowhere"), tmp_path / "bundle")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_and_nobody_waits_for_it(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "it")
    with pytest.raises(ModelRefused, match="is no file"):
        get(str(tmp_path / "it"), tmp_path / "bundle")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    there = tmp_path / "here.zip"
    there.symlink_to(there)
    with pytest.raises(ModelUnavailable, match=r"here\.zip cannot be read: .*\(let the module"):
        get(str(there), tmp_path / "bundle")


def test_more_than_the_disk_holds_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="free"):
        get(str(tmp_path), tmp_path / "bundle", size=10**15, most=10**16)


def test_a_stop_ends_it_and_keeps_what_has_arrived(address: str, tmp_path: Path) -> None:
    Server.drips, stop = threading.Event(), threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(ModelUnavailable, match="later"):
        fetch(Wanted(address, SHA, 0, 10**7, 20), tmp_path / "bundle", stop)
    Server.drips.set()
    assert (tmp_path / "bundle.part").stat().st_size > 0


def test_a_server_that_drips_does_not_outlast_the_deadline(address: str, tmp_path: Path) -> None:
    Server.drips = threading.Event()
    with pytest.raises(ModelUnavailable, match="the rest comes later"):
        fetch(Wanted(address, SHA, 0, 10**7, 0.3), tmp_path / "bundle", threading.Event())
    Server.drips.set()


def test_over_tls_it_is_resumed_and_bounded_too(secure_address: str, tmp_path: Path) -> None:
    (target := tmp_path / "bundle").with_name("bundle.part").write_bytes(BODY[:1000])
    get(secure_address, target)
    assert (target.read_bytes(), Server.ranges) == (BODY, ["bytes=1000-"])
    Server.head_drips = threading.Event()
    with pytest.raises(ModelUnavailable, match="0 bytes have arrived"):
        fetch(Wanted(secure_address, SHA, 0, 10**7, 0.5), tmp_path / "other", threading.Event())
    Server.head_drips.set()


def test_a_head_that_drips_does_not_outlast_the_deadline_or_a_stop(
    address: str, tmp_path: Path
) -> None:
    Server.head_drips, stop = threading.Event(), threading.Event()
    began_s = time.monotonic()
    with pytest.raises(ModelUnavailable, match="0 bytes have arrived"):
        fetch(Wanted(address, SHA, 0, 10**7, 0.3), tmp_path / "bundle", stop)
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(ModelUnavailable, match="0 bytes have arrived"):
        fetch(Wanted(address, SHA, 0, 10**7, 60), tmp_path / "bundle", stop)
    Server.head_drips.set()
    assert time.monotonic() - began_s < 20


def test_what_the_server_says_is_too_much_for_the_disk_is_not_begun(
    address: str, tmp_path: Path
) -> None:
    Server.says_bytes = 2**60
    with pytest.raises(ModelUnavailable, match="are needed"):
        get(address, tmp_path / "bundle", most=2**62)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Half a megabyte more than is left for the spool."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={64 * 1024 + 512}k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system of a limited size needs root and the right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_file_of_no_known_size_leaves_the_spool_its_room(address: str, small_disk: Path) -> None:
    Server.says_bytes = None
    with pytest.raises(ModelUnavailable, match="are needed"):
        get(address, small_disk / "bundle")
    assert list(small_disk.iterdir()) == []
