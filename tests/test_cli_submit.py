"""What the command line says of a cluster before it has asked one anything."""

import json
import re

import pytest

STORED = ("trials: {concurrent: 1}\n", "trials: {concurrent: 1}\nstorage: s3://box/lab\n")


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No profile, and no token."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("nobody")
def test_without_a_profile_an_address_is_asked_for(genotune, edited):
    result = genotune("submit", edited(STORED))
    assert result.returncode == 2
    assert "--address: name a cluster of " in result.stderr
    assert "or give its dashboard's, e.g. http://127.0.0.1:8265." in result.stderr


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("command", [["submit", "tiny.yaml"], ["list"], ["status", "x"], ["logs", "x"], ["stop", "x"]])
def test_an_address_where_nobody_listens_is_told_with_what_to_look_for(genotune, edited, command):
    edited(STORED)
    result = genotune(*command, "--address", "http://127.0.0.1:9")
    assert result.returncode == 2, result.stdout + result.stderr
    assert "http://127.0.0.1:9: nothing answers there (Connection refused). Is the cluster up, and the tunnel" in (
        result.stderr
    )


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("address", ["ftp://head:8265", "http://", "ray://head:10001"])
def test_an_address_of_another_kind_is_refused(genotune, edited, address):
    result = genotune("submit", edited(STORED), "--address", address)
    assert result.returncode == 2
    assert f"--address {address}: a cluster's dashboard is meant, e.g. http://127.0.0.1:8265." in result.stderr


@pytest.mark.usefixtures("nobody")
def test_a_storage_that_the_cluster_could_not_reach_is_told_before_anything_is_asked(genotune, tiny):
    result = genotune("submit", tiny, "--address", "http://127.0.0.1:9")
    assert result.returncode == 2
    assert re.search(r"storage: the spec names none\. On a cluster the machines come and go, so", result.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "tiny.yaml", "--as", "a b"], "--as a b: no name for a sweep; write letters, digits, '.', '_' and '-'"),
        (["run", "tiny.yaml", "--as", "../up"], "--as ../up: no name for a sweep"),
        (["resume", "file:///nowhere/lost"], "file:///nowhere/lost: no sweep is there. Name its place as PLACE/SWEEP"),
        (["status", "file:///nowhere/lost"], "file:///nowhere/lost: no sweep is there."),
        (["stop", "file:///nowhere/lost"], "file:///nowhere/lost: no sweep is there."),
        (["resume", "ftp://box/lost"], "ftp://box/lost: found 'ftp://box/lost'; write a folder, file:///FOLDER, s3://"),
        (["status", "file:///x/y", "--follow"], "--follow: only of a sweep on this machine; `genotune logs -f`"),
        (
            ["logs", "x", "--trial", "1", "--address", "http://h"],
            "--trial: the logs of trials lie on the machines that",
        ),
    ],
)
def test_what_is_asked_for_wrongly_is_told_with_the_fix(genotune, tiny, arguments, words):
    result = genotune(*arguments)
    assert result.returncode == 2, result.stdout + result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_the_version_names_ray_and_python_too(genotune):
    assert re.fullmatch(r"genotune \d\S*, Ray 2\.\d+\.\d+, Python 3\.\d+\.\d+\n", genotune("--version").stdout)


def test_a_sweep_in_a_storage_is_seen_and_asked_to_stop_by_its_address(genotune, tmp_path):
    """A driver is at work as long as it shows itself there."""
    from genotune.journal import Journal
    from genotune.storage import Storage

    (tmp_path / "here").mkdir()
    url = f"file://{tmp_path}/kept/sweep"
    with Journal(tmp_path / "here") as journal:
        journal.copy_to(Storage(str(tmp_path / "kept" / "sweep"), patience_s=0), {})
        journal.append("driver_started", pid=1)
        assert "starting" in genotune("status", url).stdout
        assert json.loads(genotune("status", url, "--json").stdout)["folder"] == url
    assert "died" in genotune("status", url).stdout
    refused = genotune("stop", url)
    assert refused.returncode == 2
    assert f"{url}: no driver is at work on it; there is nothing to stop." in refused.stderr
