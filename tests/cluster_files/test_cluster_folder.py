"""The folder as a whole: what its pages name is there, and nothing in it belongs to one machine or person."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"
FILES = sorted(path for path in CLUSTER.rglob("*") if path.is_file())
NAMES = [str(path.relative_to(CLUSTER)) for path in FILES]


def test_there_is_no_python_in_it():
    assert not [name for name in NAMES if name.endswith(".py")]


def test_the_page_names_every_file_that_stands_beside_it_and_every_folder():
    page = (CLUSTER / "README.md").read_text()
    beside = {name.split("/")[0] + ("/" if "/" in name else "") for name in NAMES} - {"README.md"}
    assert {name for name in beside if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("README.md")])
def test_every_file_that_a_page_names_is_there(name):
    page = CLUSTER / name
    for named in re.findall(r"(?:`|file://|cluster/)([\w./-]+\.(?:ya?ml|json|md|sh|sbatch|ini))\b", page.read_text()):
        assert any((folder / named).exists() for folder in (page.parent, CLUSTER, CLUSTER / "iam")), named


@pytest.mark.parametrize("name", NAMES)
def test_no_file_knows_a_machine_a_person_or_a_key(name):
    text = (CLUSTER / name).read_text()
    assert not re.search(r"/(?:home|Users)/(?!ubuntu\b|genotune\b)\w+", text)
    assert not re.search(r"-----BEGIN|AKIA[0-9A-Z]{16}", text)
    assert not re.search(r"[\w.]+@(?!my-|PROJECT|genotune)[\w-]+\.(?:com|org|net)\b", text)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith((".sh", ".sbatch"))])
def test_bash_can_read_a_script(name):
    done = subprocess.run(["bash", "-n", CLUSTER / name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_googles_head_may_start_see_and_end_machines_and_nothing_else():
    role = yaml.safe_load((CLUSTER / "iam" / "gcp-head-role.yaml").read_text())
    allowed = role["includedPermissions"]
    assert all(permission.startswith("compute.") and "*" not in permission for permission in allowed)
    assert not re.search(r"setIamPolicy|firewalls|compute\.networks", str(allowed))
    assert {f"compute.instances.{verb}" for verb in ("create", "delete", "get", "list", "setLabels")} <= set(allowed)
