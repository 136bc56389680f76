"""A full disk is told apart from all else, whichever library met it: the kernel's own, by /dev/full."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from genotune.full_disk import full_disk


def test_what_the_kernel_says_of_a_full_disk_is_understood(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        (tmp_path / "full").write_text("x")
    assert str(full_disk(caught.value)) == "No space left on device. Free some space."


def test_an_error_that_says_nothing_of_a_disk_means_one_that_has_no_room_left(tmp_path, monkeypatch):
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="requested and 0 written") as caught, (tmp_path / "full").open("wb") as file:
        np.zeros(100_000).tofile(file)
    assert full_disk(caught.value, folder=tmp_path) is None
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(2**30, 2**30 - 4096, 4096))
    assert str(full_disk(caught.value, folder=tmp_path)) == f"{tmp_path}: no space left on the disk. Free some space."


def test_what_safetensors_and_ray_say_of_a_full_disk_is_understood():
    from ray.exceptions import OutOfDiskError
    from safetensors import SafetensorError

    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    told = full_disk(SafetensorError(said), folder=Path("/data"))
    assert str(told) == f"/data: SafetensorError: {said}. Free some space."
    assert full_disk(OutOfDiskError("x")) is not None


def test_the_file_is_named_and_a_quota_counts_as_a_disk():
    error = OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/data/weights")
    assert str(full_disk(error)) == "/data/weights: Disk quota exceeded. Free some space."


def test_an_error_that_a_full_disk_led_to_counts_as_one():
    error = RuntimeError("can't be saved")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert str(full_disk(error)) == "/data/x: No space left on device. Free some space."


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), RuntimeError("space"), KeyError(28)])
def test_any_other_error_is_none(error):
    assert full_disk(error) is None
