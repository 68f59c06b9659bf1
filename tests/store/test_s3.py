"""A store by URL, on a real S3-compatible server that runs here: moto's."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from pipeline import runs
from pipeline.alerting import notify
from pipeline.cli.preflight import check
from pipeline.errors import PipelineError, StoreError, Unavailable
from pipeline.prices import archive, snapshot
from pipeline.prices.pieces import rows_sha256
from pipeline.prices.snapshot import SnapshotRecord
from pipeline.serving import ledger
from pipeline.settings import load_settings
from pipeline.steps import FLOW
from pipeline.store.folder import Folder, check_writable
from tests.support.alert_channels import webhook
from tests.support.cutting_proxy import cutting
from tests.support.ledger_rows import ROW
from tests.support.nights import json_in, night

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "geheim"}
MIB = 2**20


@pytest.fixture(scope="module")
def server():
    """Return the host and port of a server."""
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    yield moto.get_host_and_port()
    moto.stop()


@pytest.fixture
def s3(server, monkeypatch):
    """Return a plain client of an empty server with one bucket, which the environment points to."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # s3fs tries again by itself
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    at(monkeypatch, "http://{}:{}".format(*server))
    client = boto3.client("s3")
    for bucket in client.list_buckets()["Buckets"]:
        objects = boto3.resource("s3").Bucket(bucket["Name"])
        objects.object_versions.delete()
        objects.delete()
    client.create_bucket(Bucket="closecast")
    return client


def at(monkeypatch, endpoint):
    """Point the environment to a server; s3fs keeps its clients for the life of a process."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    S3FileSystem.clear_instance_cache()


def keys(client):
    """Return all keys of the bucket."""
    return [one["Key"] for one in client.list_objects_v2(Bucket="closecast").get("Contents", [])]


def content(client, key):
    """Return an object's bytes and the time of its last change."""
    found = client.get_object(Bucket="closecast", Key=key)
    return found["Body"].read(), found["LastModified"]


def lines(error: PipelineError) -> list[str]:
    """Return the three lines of an error, none of which may hold a key."""
    assert not any(secret in str(error) for secret in KEYS.values())
    return str(error).splitlines()


@pytest.mark.usefixtures("s3")
def test_what_was_written_is_read():
    """A second write replaces the first, a folder lists its files, and a missing one is empty."""
    folder = Folder("s3://closecast/nightly/AAA")
    folder.write("x.json", b"1")
    folder.write("x.json", b"2")
    Folder("s3://closecast/nightly/AAA/2025-11-21").write("y", b"")
    assert folder.read("x.json") == b"2"
    assert folder.names() == ["2025-11-21", "x.json"]
    assert Folder("s3://closecast/nightly/BBB").names() == []
    with pytest.raises(
        StoreError, match=r"read its files.\n.*s3://closecast/nightly/AAA/z: The specified key does not exist"
    ):
        folder.read("z")


def test_what_another_process_wrote_is_seen_at_once(s3):
    """Nothing is remembered of what was looked up before: no listing, no absence."""
    folder = Folder("s3://closecast/AAA")
    folder.write("a", b"")
    assert (folder.names(), folder.exists("b")) == (["a"], False)
    s3.put_object(Bucket="closecast", Key="AAA/b", Body=b"theirs")
    assert (folder.names(), folder.exists("b"), folder.read("b")) == (["a", "b"], True, b"theirs")
    s3.delete_object(Bucket="closecast", Key="AAA/a")
    assert (folder.names(), folder.exists("a")) == (["b"], False)


def test_a_folder_that_was_made_in_the_console_is_no_file_of_its_own(s3):
    """The web page of S3 makes an object whose name ends with a slash."""
    s3.put_object(Bucket="closecast", Key="AAA/", Body=b"")
    Folder("s3://closecast/AAA").write("x", b"")
    assert Folder("s3://closecast/AAA").names() == ["x"]


@pytest.mark.usefixtures("s3")
def test_twenty_creators_at_once_leave_one_object():
    """Exactly one of them is told that it wrote, and its content is what stays."""
    folder = Folder("s3://closecast/AAA")
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda n: folder.create("x", str(n).encode()), range(20)))
    assert made.count(True) == 1
    assert folder.read("x") == str(made.index(True)).encode()
    assert folder.create("x", b"late") is False


def test_the_check_leaves_nothing_behind(s3):
    """Not even when two look at once."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check_writable, ["s3://closecast/nightly"] * 2))
    assert keys(s3) == []


@pytest.mark.usefixtures("s3")
def test_a_store_that_writes_over_what_is_there_is_found_out(monkeypatch):
    """An old server that ignores If-None-Match would let a written forecast be changed."""
    monkeypatch.setattr(Folder, "create", lambda folder, name, data: folder.write(name, data) or True)
    with pytest.raises(StoreError, match=r"If-None-Match.*\n.*newer version"):
        check_writable("s3://closecast/nightly")


@pytest.mark.parametrize("size", [4 * MIB, 101 * MIB], ids=["one PUT", "in parts"])
def test_a_write_that_breaks_half_way_is_never_seen(s3, server, monkeypatch, size):
    """A new name stays absent, an old one keeps its content; no matter whether the file is sent whole or in parts."""
    Folder("s3://closecast").write("old", b"whole")
    with cutting(server, after=size * 3 // 4) as proxy:
        at(monkeypatch, proxy.url)
        for name in ("new", "old"):
            proxy.left = size * 3 // 4
            with pytest.raises(Unavailable, match=rf"store must answer.\n.*s3://closecast/{name}: "):
                Folder("s3://closecast").write(name, bytes(size))
            assert proxy.left < 0
    assert keys(s3) == ["old"]
    assert s3.get_object(Bucket="closecast", Key="old")["Body"].read() == b"whole"


@pytest.mark.usefixtures("s3")
def test_a_large_file_comes_back_as_it_was():
    """Above the size that is sent in parts; and read in one request, so that it is one version of it."""
    data = bytes(range(256)) * (101 * MIB // 256)
    Folder("s3://closecast").write("large", data)
    assert Folder("s3://closecast").read("large") == data


@pytest.mark.usefixtures("s3")
def test_a_missing_bucket_is_told_in_three_lines(tiny):
    """Before anything is started."""
    with pytest.raises(StoreError) as caught:
        check(tiny.model_copy(update={"store": "s3://nowhere/nightly"}))
    rule, received, todo = lines(caught.value)
    assert rule == "The store must let this run write its files."
    assert received.startswith("Received: s3://nowhere/nightly/_probe-")
    assert received.endswith(": The specified bucket does not exist")
    assert "that the bucket exists" in todo


def test_no_permission_is_told_in_three_lines(s3):
    """By the server's own words."""
    rule = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::closecast/*"}
    s3.put_bucket_policy(Bucket="closecast", Policy=json.dumps({"Version": "2012-10-17", "Statement": [rule]}))
    with pytest.raises(StoreError) as caught:
        check_writable("s3://closecast/nightly")
    assert "Access Denied" in lines(caught.value)[1] or "Forbidden" in lines(caught.value)[1]
    assert len(lines(caught.value)) == 3


@pytest.mark.usefixtures("s3")
def test_a_server_that_is_away_is_worth_another_try(monkeypatch):
    """Whatever is asked of the store."""
    at(monkeypatch, "http://127.0.0.1:1")
    folder = Folder("s3://closecast/AAA")
    for ask in (lambda: folder.read("x"), lambda: folder.create("x", b""), folder.names, lambda: folder.exists("x")):
        with pytest.raises(Unavailable, match="store must answer") as caught:
            ask()
        assert len(lines(caught.value)) == 3
        assert caught.value.retryable


@pytest.mark.parametrize(
    ("url", "endpoint", "says"),
    [
        ("s3://closecast", "no address", "Invalid endpoint"),
        ("s3://No_Bucket!", None, "Invalid bucket name"),
        ("s3://AKIDEXAMPLE:geheim@closecast", None, "Invalid bucket name"),
        ("gs://closecast", None, "gcsfs"),
        ("nothing://closecast", None, "Protocol not known: nothing"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_an_address_that_leads_nowhere_is_told_in_three_lines(url, endpoint, says, monkeypatch):
    """And never with the password that somebody put into it."""
    if endpoint:
        at(monkeypatch, endpoint)
    with pytest.raises(StoreError, match=says) as caught:
        check_writable(url)
    assert len(lines(caught.value)) == 3


@pytest.mark.usefixtures("s3")
def test_without_keys_the_run_says_so(monkeypatch):
    """In three lines that name the variables."""
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID") as caught:
        check_writable("s3://closecast/nightly")
    assert "credentials" in lines(caught.value)[1]


@pytest.mark.usefixtures("tiny")
def test_two_nights_on_an_object_store(s3, monkeypatch):
    """Every step: the comparison with the last snapshot, champion, ledger, report; alerts and the mark of the end."""
    monkeypatch.setenv("CLOSECAST_STORE", "s3://closecast/nightly/")
    monkeypatch.setenv("CLOSECAST_TICKERS", '["AAA"]')
    night("1", "2025-11-20")
    folder = night("2", "2025-11-21")
    settings = load_settings()
    compared = json.loads(folder.read("restatement.json"))
    assert compared["kind"] == "unchanged"
    assert compared["last_snapshot"] == "s3://closecast/nightly/AAA/2025-11-20/manual__1"
    assert json_in(folder, "forecast")["scored"]["session"] == "2025-11-21"
    assert ledger.read(settings.ledger_place, "AAA")["version"].tolist() == [1, 2]
    assert "nightly/_ledger/AAA/2025-11-24-v2.parquet" in keys(s3)
    runs.report("manual__2", settings=settings)
    assert b"skill of the last runs" in runs.run_folder(settings.store_url, "manual__2").read("report.html")
    assert "nightly/_finished/2025-11-21-sample.json" in keys(s3)
    with webhook() as hook:
        monkeypatch.setenv("CLOSECAST_ALERT_URLS", hook.url)
        looks = [notify.alert_unless_finished(load_settings(), dt.date(2025, 11, day)) for day in (21, 24, 24)]
    assert looks == [True, False, False]
    assert [one.title for one in hook.told] == ["No finished run for 2025-11-24"]  # and not once more


@pytest.mark.usefixtures("s3", "tiny")
def test_a_second_call_on_an_object_store_changes_nothing(s3, monkeypatch):
    """What is finished there is found and reused."""
    monkeypatch.setenv("CLOSECAST_STORE", "s3://closecast/nightly")
    night("1", "2025-11-21")
    before = {one["Key"]: one["LastModified"] for one in s3.list_objects_v2(Bucket="closecast")["Contents"]}
    monkeypatch.setattr("pipeline.forecasting.training.train", None)  # would be called by nobody
    night("1", "2025-11-21")
    assert {one["Key"]: one["LastModified"] for one in s3.list_objects_v2(Bucket="closecast")["Contents"]} == before


@pytest.mark.usefixtures("tiny")
def test_a_cleared_night_leaves_the_first_snapshot_as_it_was(s3, monkeypatch):
    """The source has other rows now: the bucket gets a second snapshot, and no object of the first one changes."""
    monkeypatch.setenv("CLOSECAST_STORE", "s3://closecast/nightly")
    folder = night("1", "2025-11-21", steps=FLOW[:2])
    first = SnapshotRecord.of(folder)
    before = {key: content(s3, key) for key in keys(s3) if "/_snapshots/" in key}
    real = snapshot.fetch

    def corrected(ticker, plan, settings):
        quoted = real(ticker, plan, settings)
        quoted.prices.iloc[0, quoted.prices.columns.get_loc("volume")] += 1
        return quoted

    monkeypatch.setattr(snapshot, "fetch", corrected)
    monkeypatch.setattr("pipeline.runner.code_version", lambda: "changed")
    night("1", "2025-11-21", steps=FLOW[:2])
    assert SnapshotRecord.of(folder).sha256 != first.sha256
    after = {key: content(s3, key) for key in keys(s3) if "/_snapshots/" in key}
    assert len(after) > len(before)
    assert {key: after[key] for key in before} == before
    rows = archive.load("s3://closecast/nightly", "AAA", first.name).prices
    assert rows_sha256(rows) == first.sha256


@pytest.mark.usefixtures("s3")
def test_the_ledger_is_written_once():
    """By whoever comes first."""
    place = "s3://closecast/ledger"
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: ledger.write(place, ROW.model_copy(update={"run": f"manual__{n}"})), range(20)))
    (written,) = ledger.read(place, ROW.ticker)["run"]
    ledger.write(place, ROW.model_copy(update={"run": "late"}))
    assert ledger.read(place, ROW.ticker)["run"].tolist() == [written]
