import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data.http_server import FileServer

from genotune.data import remote
from genotune.data.files import fingerprint, locate
from genotune.data.remote import cache_folder, copy_here, look_up, masked
from genotune.errors import DataError

CONTENT = bytes(range(256)) * 3000
COPY = """
import sys
from genotune.data.remote import copy_here, look_up
print(copy_here(look_up(sys.argv[1]), "label"))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENOTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_PAUSES_S", (0.0, 0.0))
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.bin").write_bytes(CONTENT)
    with FileServer(tmp_path / "there") as server:
        yield server


def copy(url):
    return copy_here(look_up(url), masked(url))


def refuse(url, message):
    with pytest.raises(DataError, match=message) as caught:
        copy(url)
    assert caught.value.__cause__ is None
    return str(caught.value)


def copies(cache):
    """Everything in the cache but locks."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.name != ".lock")


def start_copying(url):
    return subprocess.Popen([sys.executable, "-c", COPY, url], stdout=subprocess.PIPE, text=True)


def test_a_remote_file_is_copied_whole_and_once(server, cache):
    first, again = copy(f"{server.url}/a.bin"), copy(f"{server.url}/a.bin")
    assert first == again
    assert first.is_relative_to(cache)
    assert (first.name, first.read_bytes()) == ("a.bin", CONTENT)
    assert server.n_sent["a.bin"] == 1


def test_eight_processes_that_want_a_file_at_once_copy_it_once(server, cache):
    server.held.add("a.bin")
    processes = [start_copying(f"{server.url}/a.bin") for _ in range(8)]
    # Each looks the file up, and the one that copies it once more.
    while server.n_looked_up["a.bin"] < 9:
        assert not any(process.poll() for process in processes)
        time.sleep(0.01)
    server.release.set()
    paths = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 8
    assert len(paths) == 1
    assert Path(paths.pop()).read_bytes() == CONTENT
    assert server.n_sent["a.bin"] == 1
    assert copies(cache) == ["a.bin"]


def test_a_file_that_was_changed_is_copied_anew(server):
    file = server.folder / "a.bin"
    first = copy(f"{server.url}/a.bin")
    file.write_bytes(CONTENT[::-1])
    os.utime(file, (1e9, 1e9))
    assert copy(f"{server.url}/a.bin").read_bytes() == CONTENT[::-1]
    assert first.read_bytes() == CONTENT


def test_a_file_without_date_is_told_to_be_so_and_found_changed_by_its_size(server, caplog):
    server.is_dated = False
    first = copy(f"{server.url}/a.bin")
    assert "the server tells neither date nor checksum" in caplog.text
    (server.folder / "a.bin").write_bytes(CONTENT[:-1])
    assert copy(f"{server.url}/a.bin") != first


def test_a_file_that_changes_between_plan_and_copy_is_refused(server, cache):
    file = look_up(f"{server.url}/a.bin")
    os.utime(server.folder / "a.bin", (1e9, 1e9))
    with pytest.raises(DataError, match=r"^x: was changed where it lies since this sweep looked it up\. Start"):
        copy_here(file, "x")
    assert copies(cache) == []


def test_a_copy_that_was_cut_afterwards_is_made_again(server):
    path = copy(f"{server.url}/a.bin")
    path.write_bytes(CONTENT[:7])
    assert copy(f"{server.url}/a.bin").read_bytes() == CONTENT


def test_companions_come_along_where_they_are(server):
    (server.folder / "a.bin.fai").write_text("index")
    file = look_up(f"{server.url}/a.bin?x=1", endings=(".fai", ".gzi"))
    path = copy_here(file, "x")
    assert {one.name for one in path.parent.iterdir()} == {"a.bin", "a.bin.fai", ".lock"}
    assert path.with_name("a.bin.fai").read_text() == "index"


def test_a_companion_that_changed_is_copied_anew(server):
    companion = server.folder / "a.bin.fai"
    companion.write_text("wrong")
    first = copy_here(look_up(f"{server.url}/a.bin", endings=(".fai",)), "x")
    companion.write_text("right, and longer")
    again = copy_here(look_up(f"{server.url}/a.bin", endings=(".fai",)), "x")
    assert first != again
    assert again.with_name("a.bin.fai").read_text() == "right, and longer"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "no such file there"),
        (403, "no permission to read it"),
        (401, "no permission"),
        (500, "can't be read .*500"),
    ],
)
def test_what_the_server_refuses_is_told(server, cache, status, message):
    server.statuses["a.bin"] = status
    refuse(f"{server.url}/a.bin", f"^{server.url}/a.bin: {message}")
    assert copies(cache) == []


def test_a_server_that_cannot_be_reached_is_told():
    refuse(
        "http://127.0.0.1:9/a.bin", r"^http://127\.0\.0\.1:9/a\.bin: can't be read from there \(.*Connect call failed"
    )


def test_a_server_that_hangs_up_is_told(server):
    server.statuses["a.bin"] = None
    refuse(f"{server.url}/a.bin", r"a\.bin: can't be read from there \(Server disconnected\)\.")


def test_a_package_that_is_missing_is_named_with_its_fix():
    refuse("abfs://box/a.bin", r"^abfs://box/a\.bin: reading abfs:// takes a package that isn't installed: pip install")


def test_a_protocol_that_nobody_knows_is_refused():
    refuse("gopher2://box/a.bin", r"^gopher2://box/a\.bin: can't be read \(.*gopher2.*\)\. s3://, gs://, https://")


def test_a_copy_that_breaks_off_is_tried_again(server, caplog):
    server.n_cut["a.bin"] = 2
    assert copy(f"{server.url}/a.bin").read_bytes() == CONTENT
    assert server.n_sent["a.bin"] == 3
    assert caplog.text.count("Trying again.") == 2


def test_a_copy_that_always_breaks_off_is_told_and_leaves_nothing(server, cache):
    server.n_cut["a.bin"] = 99
    refuse(f"{server.url}/a.bin", r"a\.bin: can't be read from there")
    assert server.n_sent["a.bin"] == 3
    assert copies(cache) == []


def test_a_copy_that_is_shorter_than_was_said_is_told_and_leaves_nothing(server, cache):
    server.shrunk.add("a.bin")
    refuse(f"{server.url}/a.bin", r"a\.bin: the copy was cut short: 767990 of 768000 bytes came\.$")
    assert copies(cache) == []


def test_a_process_that_is_killed_leaves_no_torn_file_and_no_lock(server, cache):
    server.held.add("a.bin")
    process = start_copying(f"{server.url}/a.bin")
    while not copies(cache):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert copies(cache) == ["a.bin.part"]
    server.held.clear()
    server.release.set()
    assert copy(f"{server.url}/a.bin").read_bytes() == CONTENT
    assert copies(cache) == ["a.bin"]


def test_a_cache_that_cannot_be_written_is_told(server, cache, monkeypatch):
    cache.write_text("a file")
    refuse(f"{server.url}/a.bin", r"a\.bin: can't be copied to .*cache \(.*\)\. Set GENOTUNE_CACHE to another folder\.")


def test_the_cache_is_in_the_home_folder_unless_another_is_asked_for(cache, monkeypatch, tmp_path):
    assert cache_folder() == cache
    monkeypatch.delenv("GENOTUNE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "genotune" / "inputs"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:secret@host/a.bw", "https://***@host/a.bw"),
        ("at https://token@host/a.bw and s3://b/c", "at https://***@host/a.bw and s3://b/c"),
        ("https://h/a?X-Amz-Signature=1ab&part=2", "https://h/a?X-Amz-Signature=***&part=2"),
        ("https://h/a?part=2&token=xyz: no", "https://h/a?part=2&token=*** no"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_addresses_are_shown_without_their_secrets(text, shown):
    assert masked(text) == shown


def test_a_login_opens_the_door_and_shows_nowhere(server, caplog):
    caplog.set_level(logging.DEBUG, logger="genotune")
    server.login = "me:hush"
    file = locate(Path(), f"http://me:hush@{server.host}/a.bin?token=hush")
    facts = fingerprint("track a", file)
    assert facts["path"] == f"http://***@{server.host}/a.bin?token=***"
    assert facts["n_bytes"] == len(CONTENT)
    server.statuses["a.bin"] = 500
    shown = refuse(f"http://me:hush@{server.host}/a.bin?token=hush", "can't be read from there")
    server.login = "me:other"
    shown += refuse(f"http://me:hush@{server.host}/a.bin", "no permission")
    shown += refuse("http://me:hush@127.0.0.1:9/a.bin", "can't be read from there")
    shown += refuse("abfs://me:hush@box/a.bin", "pip install adlfs")
    assert "copying" in caplog.text
    assert "hush" not in shown + caplog.text + str(file.path)


def test_a_file_finds_its_copy_on_another_machine_too(server, monkeypatch, tmp_path):
    file = pickle.loads(pickle.dumps(locate(Path(), f"{server.url}/a.bin")))
    monkeypatch.setenv("GENOTUNE_CACHE", str(tmp_path / "another machine's"))
    assert file.path.is_relative_to(tmp_path / "another machine's")
    assert file.path.read_bytes() == CONTENT
    assert server.n_sent["a.bin"] == 2


@pytest.fixture
def bucket(monkeypatch):
    """An S3 on this machine with one bucket, and what a login needs."""
    boto3 = pytest.importorskip("boto3")
    s3fs = pytest.importorskip("s3fs")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="box")
    yield client
    client.close()
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_file_in_s3_is_copied_and_found_changed(bucket):
    bucket.put_object(Bucket="box", Key="in/a.bin", Body=CONTENT)
    first = copy("s3://box/in/a.bin")
    assert first.read_bytes() == CONTENT
    assert copy("s3://box/in/a.bin") == first
    bucket.put_object(Bucket="box", Key="in/a.bin", Body=CONTENT[::-1])
    assert copy("s3://box/in/a.bin").read_bytes() == CONTENT[::-1]


def test_what_is_not_in_s3_is_told(bucket):
    refuse("s3://box/b.bin", r"^s3://box/b\.bin: no such file there\.")
    refuse("s3://other/b.bin", r"^s3://other/b\.bin: no such file there\.")


def test_a_machine_without_a_login_for_s3_is_told(bucket, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    s3fs.S3FileSystem.clear_instance_cache()
    refuse("s3://box/b.bin", r"^s3://box/b\.bin: this machine has no login for it\. .*FSSPEC_S3_ANON=true")
