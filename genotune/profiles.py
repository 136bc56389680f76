"""The clusters that a person works on, by name, in a file of the person's own: no spec says where it runs."""

import os
import stat
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from genotune.data.remote import is_url, masked
from genotune.errors import Problem, UserError
from genotune.settings import Settings, build
from genotune.spec.messages import did_you_mean, problems_of
from genotune.spec.reading import read_text, spec_error_in
from genotune.spec.yaml_source import YamlSyntaxError, parse_yaml

FILE: Final = Path("~/.config/genotune/clusters.yaml")
EXAMPLE: Final = """\
default: lab
clusters:
  lab:
    address: http://127.0.0.1:8265        # of the dashboard, here through `ray dashboard cluster/aws.yaml`
    storage: s3://bucket/sweeps           # for specs that name none
    tracking_uri: https://mlflow.lab.example
    token_file: ~/.ray/auth_token         # of the cluster's token; else as Ray finds it
    cluster_file: ~/lab/cluster/aws.yaml  # its node types and prices
"""

_Text = Annotated[str, Field(min_length=1)]


class Profile(Settings):
    """A cluster.

    Attributes:
        address: of its dashboard, through which jobs are submitted.
        storage: where checkpoints and journals go of specs that name none.
        tracking_uri: MLflow's server, of specs that name none; null: what MLFLOW_TRACKING_URI says on the cluster.
        token_file: with the token that the cluster asks for; null: what Ray itself would use.
        cluster_file: its node types and prices.
    """

    address: _Text
    storage: _Text | None = None
    tracking_uri: _Text | None = None
    token_file: _Text | None = None
    cluster_file: _Text | None = None


class Profiles(Settings):
    """The file.

    Attributes:
        default: the cluster that is meant where none is named.
        clusters: by name.
    """

    default: str | None = None
    clusters: dict[str, Profile] = Field(default_factory=dict)


def profile_of(address: str | None) -> Profile:
    """The cluster that a person means: a name in the file, an address, or the file's default.

    Raises:
        UserError: there is none of that name, or the file has faults.
    """
    path = _path()
    known = _read(path) if path.exists() else Profiles()
    if address is not None and is_url(address):
        named = [one for one in known.clusters.values() if one.address.rstrip("/") == address.rstrip("/")]
        return named[0] if len(named) == 1 else Profile(address=address)
    name = address or known.default
    if name is None:
        raise UserError(f"--address: name a cluster of {path}, or give its dashboard's, e.g. http://127.0.0.1:8265.")
    if name not in known.clusters:
        hint = did_you_mean(name, list(known.clusters)) if known.clusters else ""
        there = (
            f"{path} has no cluster of that name.{hint}" if path.exists() else f"there is no {path}. E.g.:\n{EXAMPLE}"
        )
        raise UserError(f"--address {masked(name)}: no address like http://127.0.0.1:8265, and {there}")
    return known.clusters[name]


def token_of(profile: Profile) -> str | None:
    """The token that the cluster asks for: of the profile's file, else where Ray looks; None: there is none.

    Raises:
        UserError: the profile's file can't be read, is empty, or is everybody's to read.
    """
    if profile.token_file is not None:
        path = Path(profile.token_file).expanduser()
        try:
            token = path.read_text().strip()
        except OSError as error:
            raise UserError(f"{path}: the cluster's token can't be read: {error.strerror}.") from None
        if not token:
            raise UserError(f"{path}: is empty; the cluster's token should stand there.")
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise UserError(f"{path}: others can read the cluster's token there. Then: chmod 600 {path}")
        return token
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"].strip()
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    return path.read_text().strip() or None if path.is_file() else None


def _path() -> Path:
    return Path(os.environ.get("GENOTUNE_CLUSTERS") or FILE).expanduser()


def _read(path: Path) -> Profiles:
    text = read_text(path)
    try:
        source = parse_yaml(text)
    except YamlSyntaxError as error:
        raise UserError(f"{path}:{error.line}: {error}") from None
    try:
        found: Profiles = build(Profiles, source.values or {})
    except ValidationError as error:
        problems = problems_of(error, Profiles, name="a file of clusters")
        raise spec_error_in(path, source, problems) from None
    if found.default is not None and found.default not in found.clusters:
        hint = did_you_mean(found.default, list(found.clusters))
        raise spec_error_in(path, source, [Problem(("default",), f"there is no cluster {found.default!r}.{hint}")])
    return found
