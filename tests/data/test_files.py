import hashlib
from pathlib import Path

import pytest

from genotune.data.files import InputFile, fingerprint, kept_in, locate
from genotune.errors import DataError


def test_a_path_is_relative_to_the_specs_folder(tmp_path):
    assert locate(tmp_path, "in/a.bw") == InputFile(tmp_path / "in/a.bw", "in/a.bw")
    assert locate(tmp_path, "/data/a.bw").path == Path("/data/a.bw")


def test_a_path_from_home_is_found_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(Path("/spec"), "~/a.bw") == InputFile(tmp_path / "a.bw", "~/a.bw")


def test_a_fingerprint_is_of_the_bytes_under_the_specs_name(tmp_path):
    (tmp_path / "a.bw").write_bytes(b"abc")
    assert fingerprint("track a", locate(tmp_path, "a.bw")) == {
        "role": "track a",
        "path": "a.bw",
        "n_bytes": 3,
        "sha256": hashlib.sha256(b"abc").hexdigest(),
    }


def test_faults_are_kept_and_defects_are_not():
    faults = []
    with kept_in(faults):
        raise DataError("a.bw: is torn")
    assert faults == ["a.bw: is torn"]
    with pytest.raises(ValueError, match="a defect"), kept_in(faults):
        raise ValueError("a defect")
