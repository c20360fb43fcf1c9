"""The `verifier` command: what it says, and the code that it ends with."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.verifier.test_settings import ENVIRONMENT, document

from verifier.__main__ import main
from verifier.cost import Fleet, cost
from verifier.errors import SettingsRefused
from verifier.hosts.shelves import shelf_of
from verifier.settings import parse_settings

ACCOUNT = {"account_url": "https://name.blob.core.windows.net"}
EVENTS = {"namespace": "name.servicebus.windows.net"}
BAD = {"BAD": "AccountKey=s3cr3t"}
"""A variable that holds no whole connection string."""


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the settings name."""
    for name, value in (ENVIRONMENT | BAD).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("variables")
def test_check_says_what_would_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "verifier.json"
    path.write_text(json.dumps(document()))
    assert main(["check", "--settings", str(path)]) == 0
    assert capsys.readouterr().out == "*: ia40 in westeurope: objects\n"


def test_a_wrong_setting_ends_it_with_2_and_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "verifier.json"
    path.write_text(json.dumps(document() | {"buget": {}}))
    assert main(["check", "--settings", str(path)]) == 2
    assert "buget" in capsys.readouterr().err


@pytest.mark.usefixtures("variables")
def test_the_worker_does_not_balance_partitions_over_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "verifier.json"
    path.write_text(json.dumps(document() | {"store": {"file": str(tmp_path / "ledger.db")}}))
    assert main(["run", "--settings", str(path)]) == 2
    assert "blob storage" in capsys.readouterr().err
    assert not (tmp_path / "ledger.db").exists()


def test_the_schema_of_the_settings_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "routes" in json.loads(capsys.readouterr().out)["properties"]


def test_cost_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--devices", "50", "--rate", "12"]) == 0
    printed = capsys.readouterr().out
    assert "14,400" in printed
    assert "a month" in printed


def test_a_message_is_metered_in_steps_of_4_kib() -> None:
    small = cost(Fleet(devices=1, rate=1, hours=1, message_bytes=4096))
    larger = cost(Fleet(devices=1, rate=1, hours=1, message_bytes=4097))
    assert (small.meter_units_a_day, larger.meter_units_a_day) == (3, 4)


def test_each_wanted_feature_is_a_transaction() -> None:
    one = cost(Fleet(devices=10, rate=6, features=1))
    three = cost(Fleet(devices=10, rate=6, features=3))
    assert one.escalations_a_day == 1440
    assert three.transactions_a_month == pytest.approx(3 * one.transactions_a_month, abs=3)


def test_a_fleet_beyond_a_unit_needs_more_units() -> None:
    result = cost(Fleet(devices=1000, rate=60, price_per_unit=25, price_per_1000=1))
    assert result.hub_units["S1"] == 98
    assert result.hub_units["S2"] == 7
    assert result.hub_price == 98 * 25
    assert result.vision_price == pytest.approx(result.transactions_a_month / 1000)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--devices", "-1", "give 0 or more"),
        ("--devices", "2.5", "no whole number"),
        ("--devices", "many", "give 0 or more"),
        ("--rate", "nan", "give 0 or more"),
        ("--rate", "1e400", "give 0 or more"),
        ("--devices", "1e308", "1e+12 at most"),
        ("--rate", "1e308", "1e+12 at most"),
        ("--hours", "25", "a day has 24 hours"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused_by_its_option(
    option: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["cost", "--devices", "1", "--rate", "1", option, value])
    said = capsys.readouterr().err
    assert f"argument {option}: " in said
    assert reason in said


def test_the_largest_fleet_that_is_taken_can_be_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    most = ["--devices", "1e12", "--rate", "1e12", "--message-bytes", "1e12", "--features", "1e12"]
    assert main(["cost", *most, "--price-per-1000", "1e12", "--price-per-unit", "1e12"]) == 0
    assert "a month" in capsys.readouterr().out


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"worker": {"http_port": "TAKEN"}}, "worker.http_port: cannot listen at 127.0.0.1:"),
        ({"worker": {"http_host": "absent.invalid"}}, "worker.http_host: there is no host"),
        ({"worker": {"http_host": "a..b"}}, "worker.http_host: there is no host 'a..b'"),
        ({"worker": {"http_host": "192.0.2.1"}}, "worker.http_host: cannot listen"),
        ({"store": {"connection_string_env": "BAD"}}, "store.connection_string_env: the variable"),
        ({"store": {"account_url": "https://"}}, "store.account_url: "),
    ],
)
def test_what_the_worker_cannot_begin_with_is_named(
    change: dict[str, dict[str, object]],
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = document() | {"store": ACCOUNT, "events": EVENTS} | change
    path = tmp_path / "verifier.json"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        path.write_text(json.dumps(whole).replace('"TAKEN"', str(taken.getsockname()[1])))
        assert main(["run", "--settings", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"verifier: {named}")
    assert "s3cr3t" not in said


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"store": {"connection_string_env": "BAD"}}, "store.connection_string_env: the variable"),
        ({"store": {"file": "absent/ledger.db"}, "events": {}}, "store.file: no folder"),
        ({"store": {"file": "ledger.db"}}, "store.file: the event hub worker needs blob"),
        (
            {"events": {"connection_string_env": "BAD"}},
            "events.connection_string_env: the variable",
        ),
        ({"events": EVENTS | {"ca_file": "absent.pem"}}, "events.ca_file: there is no"),
        ({}, ""),
        ({"store": {"file": "ledger.db"}, "events": {}}, ""),
    ],
)
def test_check_builds_what_the_worker_does_and_leaves_nothing(
    change: dict[str, object],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "verifier.json"
    path.write_text(json.dumps(document() | {"store": ACCOUNT, "events": EVENTS} | change))
    assert main(["check", "--settings", str(path)]) == (2 if named else 0)
    said = capsys.readouterr().err
    assert said.startswith(f"verifier: {named}" if named else "")
    assert "s3cr3t" not in said
    assert [one.name for one in tmp_path.iterdir()] == ["verifier.json"]


@pytest.mark.parametrize(
    "store", [{"connection_string_env": "BAD"}, {"account_url": "https://"}], ids=["string", "url"]
)
def test_an_account_of_samples_that_cannot_be_is_named(store: dict[str, str]) -> None:
    settings = document() | {"store": store, "dataset": {"container": "samples"}}
    with pytest.raises(SettingsRefused, match=r"^store\.[a-z_]+: ") as caught:
        shelf_of(parse_settings(settings), ENVIRONMENT | BAD)
    assert "s3cr3t" not in str(caught.value)


def test_ctrl_c_and_a_lost_output_end_a_command_without_a_traceback() -> None:
    began = "import sys, verifier.__main__ as m\n"
    code = "m.report = {}; sys.exit(m.main(['cost', '--devices', '1', '--rate', '1']))"
    raising = "lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)"
    for words, output, ended, said in (
        (code.format(raising), os.devnull, 130, "verifier: stopped by Ctrl-C"),
        (code.format("m.report"), "/dev/full", 1, "verifier: the output cannot be written: No sp"),
    ):
        with Path(output).open("wb") as file:
            done = subprocess.run(
                [sys.executable, "-c", began + words], stdout=file, stderr=subprocess.PIPE
            )
        assert done.returncode == ended
        assert done.stderr.decode().strip().startswith(said)
        assert b"Traceback" not in done.stderr
