"""The Dockerfiles: small, pinned, without root and without secrets."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = ["cluster/Dockerfile", "cluster/mlflow-server/Dockerfile"]


def instructions(name):
    """(instruction, arguments) of a Dockerfile, comments gone and continued lines joined."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def of(name, instruction):
    return [arguments for found, arguments in instructions(name) if found == instruction]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_base_is_named_by_a_full_version(name):
    for base in of(name, "FROM"):
        assert re.fullmatch(r"[a-z][\w./-]*:\d+\.\d+\.\d+[\w.-]*", base), base


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_last_user_is_no_root_and_named_by_number(name):
    assert of(name, "USER")[-1] == "1000:1000"
    assert instructions(name)[-1][0] in {"CMD", "ENTRYPOINT"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_library_is_held_to_the_constraints_and_leaves_no_cache(name):
    commands = [command for run in of(name, "RUN") for command in run.split("&&")]
    installs = [command for command in commands if "pip install" in command]
    assert installs
    assert all("--constraint constraints.txt" in command and "--no-cache-dir" in command for command in installs)
    for run in of(name, "RUN"):
        if "apt-get install" in run:
            assert "--no-install-recommends" in run
            assert "rm -rf /var/lib/apt/lists/*" in run


@pytest.mark.parametrize("name", DOCKERFILES)
def test_nothing_secret_and_nothing_of_today_gets_into_an_image(name):
    text = (ROOT / name).read_text()
    assert ":latest" not in text
    assert not of(name, "ADD")
    assert all("." not in source.split() for source in of(name, "COPY")), "COPY names what it takes"
    for setting in [*of(name, "ENV"), *of(name, "ARG")]:
        assert not re.search(r"(?i)(password|token|secret|key)\w*=(?!token\b)", setting), setting


def test_the_extras_that_the_image_may_be_built_with_are_there_and_pinned():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {"cloud", "aws", "gcp", "azure"} <= set(extras)
    for cloud in ("cloud", "aws", "gcp", "azure"):
        for requirement in extras[cloud]:
            assert re.match(r"[\w.-]+", requirement)[0].lower() in pinned, requirement


def test_ray_finds_the_home_in_the_image_and_the_folders_of_token_and_login_belong_to_its_user():
    assert any(setting.startswith("HOME=/home/genotune") for setting in of("cluster/Dockerfile", "ENV"))
    (made,) = [run for run in of("cluster/Dockerfile", "RUN") if "install --directory" in run]
    assert "--owner=genotune" in made
    assert "--mode=700 /home/genotune/.ray /home/genotune/.mlflow" in made


def test_the_build_sees_what_it_copies_and_nothing_else():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {path for name in DOCKERFILES for sources in of(name, "COPY") for path in sources.split()[:-1]}
    assert let_in == copied
    assert all((ROOT / path).exists() for path in copied)
