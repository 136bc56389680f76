"""Points of a person's own, and sweeps to start from, are checked with the file."""

from pathlib import Path

import pytest

from builders import SPEC
from genotune.errors import SpecError
from genotune.spec import read_spec

SEARCH = "search: {kind: tpe, seed: 3}"


def read(tmp_path: Path, search: str):
    assert SEARCH in SPEC
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC.replace(SEARCH, search))
    return read_spec(path)


def test_a_point_of_the_space_is_taken(tmp_path: Path) -> None:
    search = """\
search:
  kind: tpe
  points:
    - params: {channels: 4, n_blocks: 1, learning_rate: 1.0e-2, bin_bp: 16}
"""
    spec = read(tmp_path, search)
    ((family, picks),) = spec.settings.search.points_in(spec.space)
    assert (family, picks) == ("poisson_cnn", {"channels": 1, "n_blocks": 1, "learning_rate": 0.01})


def test_faults_of_points_and_of_sweeps_to_start_from_are_told_at_their_lines(tmp_path: Path) -> None:
    search = """\
search:
  kind: random
  points:
    - params: {channels: 4, n_blocks: 1, learning_rate: 1.0}
    - family: ridge
    - params: {channels: 4, n_blocks: 1, learning_rate: 1.0e-2, chanels: 4}
  start_from: [tiny-1]
"""
    with pytest.raises(SpecError) as error:
        read(tmp_path, search)
    line = SPEC[: SPEC.index(SEARCH)].count("\n") + 1
    told = [fault.removeprefix(f"{tmp_path}/tiny.yaml:") for fault in error.value.lines]
    assert told == [
        f"{line + 3}: search.points[0].params.learning_rate: found 1.0; must be a number from 0.001 to 0.03.",
        f"{line + 4}: search.points[1].family: found 'ridge'; no model of this family in `models`. There: poisson_cnn.",
        f"{line + 5}: search.points[2].params.chanels: the space has no such parameter. Did you mean 'channels'?",
        f"{line + 6}: search.start_from: kind: random learns from no trial; write kind: tpe, or leave start_from out.",
    ]
