"""The Python files that a spec names are read with it; what is wrong with them is told at the line that names them."""

import pytest

from builders import SPEC
from genotune.errors import SpecError
from genotune.spec import read_spec

MODELS = """\
models:
  - family: torch_module
    params:
      module: nets/net.py:Net
      arguments:
        channels: {int: [2, 4]}
"""
SPEC = SPEC[: SPEC.index("models:")] + MODELS + SPEC[SPEC.index("search:") :]
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, n_tracks, channels):
        super().__init__()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.py").write_text(NET)
    return tmp_path


@pytest.fixture
def read(folder):
    """Reads the spec; each pair is a text in it, and what it becomes."""

    def call(*changes, code=None):
        text = SPEC
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (folder / "tiny.yaml").write_text(text)
        return read_spec(folder / "tiny.yaml", code=code)

    return call


@pytest.fixture
def faults(read, folder):
    def call(*changes):
        with pytest.raises(SpecError, match=r"tiny\.yaml:\d+: ") as caught:
            read(*changes)
        return [line.replace(f"{folder}/", "") for line in caught.value.lines]

    return call


def test_a_spec_brings_the_text_of_the_files_that_it_names(read):
    spec = read()
    assert spec.code == {"nets/net.py": NET}
    assert list(spec.space["torch_module"].domains) == ["arguments.channels"]


def test_a_spec_without_such_files_brings_none(read):
    assert read((MODELS, "models: [{family: ridge}]\n")).code == {}


def test_all_modules_of_a_choice_are_read(read, folder):
    (folder / "other.py").write_text(NET.replace("Net", "Other"))
    spec = read(("module: nets/net.py:Net", "module: {choice: [nets/net.py:Net, other.py:Other]}"))
    assert set(spec.code) == {"nets/net.py", "other.py"}
    assert list(spec.space["torch_module"].domains) == ["module", "arguments.channels"]


def test_a_file_in_another_encoding_is_read_as_its_first_line_says(read, folder):
    (folder / "nets" / "net.py").write_bytes(b"# coding: latin-1\n# na\xefve\n" + NET.encode())
    assert "# naïve\n" in read().code["nets/net.py"]
    (folder / "nets" / "net.py").write_bytes(b"\xef\xbb\xbf" + NET.replace("\n", "\r\n").encode())
    assert read().code["nets/net.py"] == NET


def test_code_that_is_kept_elsewhere_is_not_read_again(read, folder):
    (folder / "nets" / "net.py").unlink()
    assert read(code={"nets/net.py": NET}).code == {"nets/net.py": NET}


def test_a_file_that_is_missing_is_told_at_the_line_that_names_it(faults):
    missing = "no such file (looked for nets/nett.py). Paths are relative to the spec's folder."
    assert faults(("nets/net.py", "nets/nett.py")) == [f"tiny.yaml:13: params.module: nets/nett.py: {missing}"]


def test_the_option_of_a_choice_that_is_at_fault_is_told(faults):
    [line] = faults(
        ("module: nets/net.py:Net", "module:\n        choice:\n          - nets/net.py:Net\n          - x.py:X")
    )
    assert line.startswith("tiny.yaml:16: params.module.choice[1]: x.py: no such file (looked for x.py).")


def test_a_folder_and_what_is_no_text_are_told(faults, folder):
    (folder / "nets" / "net.py").write_bytes(b"\xff\xfe\x00")
    assert faults() == [
        "tiny.yaml:13: params.module: nets/net.py: not text in UTF-8, nor in an encoding that its first line names."
    ]
    (folder / "nets" / "net.py").unlink()
    (folder / "nets" / "net.py").mkdir()
    assert faults() == ["tiny.yaml:13: params.module: nets/net.py: can't be read: Is a directory."]


def test_what_is_not_python_is_told_with_both_lines(faults, folder):
    (folder / "nets" / "net.py").write_text("class Net(\n")
    assert faults() == ["tiny.yaml:13: params.module: nets/net.py:1: not Python: '(' was never closed."]


def test_a_class_and_arguments_that_do_not_fit_are_told_at_once(faults):
    assert faults(("channels:", "chanels:")) == [
        "tiny.yaml:14: params.arguments: Net needs 'channels' too, which has no default.",
        "tiny.yaml:15: params.arguments.chanels: Net has no such argument. Did you mean 'channels'?",
    ]
    assert faults((":Net", ":Nett")) == [
        "tiny.yaml:13: params.module: nets/net.py has no class 'Nett'. Did you mean 'Net'?"
    ]


def test_arguments_must_fit_every_class_of_a_choice(faults, folder):
    (folder / "other.py").write_text(NET.replace("Net", "Other").replace("channels", "width"))
    assert faults(("module: nets/net.py:Net", "module: {choice: [nets/net.py:Net, other.py:Other]}")) == [
        "tiny.yaml:14: params.arguments: Other needs 'width' too, which has no default.",
        "tiny.yaml:15: params.arguments.channels: Other has no such argument. It has width.",
    ]


@pytest.mark.parametrize(
    ("statement", "root"),
    [("from helpers import x", "helpers"), ("import layers.deep", "layers"), ("from . import y", "y")],
)
def test_an_import_from_beside_the_file_is_told(faults, folder, statement, root):
    (folder / "nets" / "helpers.py").touch()
    (folder / "nets" / "layers").mkdir()
    (folder / "nets" / "layers" / "__init__.py").touch()
    (folder / "nets" / "net.py").write_text(f"{NET}\n\ndef f():\n    {statement}\n")
    assert faults() == [
        f"tiny.yaml:13: params.module: nets/net.py:10: imports {root!r} from beside it. Only net.py itself goes with "
        "the trials and the model: put that code into it, or into a package that is installed wherever a trial runs."
    ]


def test_a_folder_of_data_beside_the_file_is_no_package(read, folder):
    (folder / "nets" / "torch").mkdir()
    assert read().code
