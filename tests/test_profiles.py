"""The file with a person's clusters, and the token of each."""

import pytest

from genotune.errors import UserError
from genotune.profiles import EXAMPLE, profile_of, token_of


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Where the file is looked for; nothing of this machine's own is seen."""
    monkeypatch.setenv("GENOTUNE_CLUSTERS", str(tmp_path / "clusters.yaml"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "clusters.yaml"


def test_the_example_can_be_read_and_its_default_is_meant_where_none_is_named(file):
    file.write_text(EXAMPLE)
    assert profile_of(None) == profile_of("lab") == profile_of("http://127.0.0.1:8265/")
    assert profile_of("lab").storage == "s3://bucket/sweeps"


def test_an_address_needs_no_file(file):
    assert profile_of("http://head:8265").address == "http://head:8265"
    assert profile_of("http://head:8265").storage is None


@pytest.mark.parametrize(
    ("text", "address", "words"),
    [
        (None, None, r"--address: name a cluster of .*clusters\.yaml, or give its dashboard's, e\.g\. http://127"),
        (
            None,
            "lab",
            r"--address lab: no address like http://127\.0\.0\.1:8265, and there is no .*E\.g\.:\ndefault: lab",
        ),
        (EXAMPLE, "lap", r"clusters\.yaml has no cluster of that name\. Did you mean 'lab'\?"),
        (
            "default: lap\nclusters: {lab: {address: http://x}}",
            None,
            r"clusters\.yaml:1: default: there is no cluster 'lap'",
        ),
        ("clusters: {lab: {adress: http://x}}", "lab", r"clusters\.yaml:1: clusters\.lab\.adress: .*'address'"),
        ("clusters: [", "lab", r"clusters\.yaml:1: not YAML"),
        ("clusters: {lab: {address: 8265}}", "lab", r"clusters\.yaml:1: clusters\.lab\.address: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file, text, address, words):
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=words):
        profile_of(address)


def test_the_token_of_the_profile_goes_before_that_of_ray(file, tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "mine").chmod(0o600)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("rays\n")
    plain, own = (
        profile_of("http://head:8265"),
        profile_of("http://head:8265").model_copy(update={"token_file": "~/mine"}),
    )
    assert (token_of(plain), token_of(own)) == ("rays", "mine")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "environments")
    assert (token_of(plain), token_of(own)) == ("environments", "mine")


def test_without_a_token_there_is_none(file):
    assert token_of(profile_of("http://head:8265")) is None


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, r"mine: the cluster's token can't be read: No such file or directory\."),
        ("", 0o600, r"mine: is empty; the cluster's token should stand there\."),
        ("secret", 0o644, r"mine: others can read the cluster's token there\. Then: chmod 600 .*mine"),
    ],
)
def test_a_token_file_that_is_no_good_is_told(file, tmp_path, content, mode, words):
    if content is not None:
        (tmp_path / "mine").write_text(content)
        (tmp_path / "mine").chmod(mode)
    with pytest.raises(UserError, match=words):
        token_of(profile_of("http://head:8265").model_copy(update={"token_file": str(tmp_path / "mine")}))
