"""What is said where a desk and a cluster run different versions."""

import pytest

from genotune.errors import ResourceError
from genotune.versions import Versions, check_versions, here, read_versions

DESK = Versions("0.1.0", "2.60.0", "3.11.7")


def test_what_one_machine_writes_another_reads():
    assert read_versions(here().text) == here()
    assert str(DESK) == "genotune 0.1.0, Ray 2.60.0, Python 3.11.7"


def test_the_same_versions_need_no_words_and_a_patch_of_python_neither():
    assert check_versions(DESK, DESK._replace(python="3.11.9")) == []


def test_another_ray_or_python_is_told_and_does_no_harm():
    ray, python = check_versions(DESK, Versions("0.1.0", "2.61.0", "3.12.1"))
    assert ray == "The cluster has Ray 2.61.0, your machine 2.60.0; the sweep runs on the cluster's."
    assert python == "The cluster has Python 3.12.1, your machine 3.11.7; the cluster's is used."


def test_another_genotune_is_refused_with_the_fix():
    with pytest.raises(
        ResourceError, match=r"has genotune 0\.2\.0, your machine 0\.1\.0: .*pip install genotune==0\.2\.0"
    ):
        check_versions(DESK, DESK._replace(genotune="0.2.0"))
