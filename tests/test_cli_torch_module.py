"""A network of one's own through the command line: what is wrong with it is one plain message, never a traceback."""

import pytest

from builders import SPEC

MODELS = """\
models:
  - family: torch_module
    params:
      module: net.py:Net
      windows: {length_bp: 256, stride_bp: 256, select: tiles}
      bin_bp: 16
"""
NET = """\
from torch import nn


class Net(nn.Sequential):
    def __init__(self, n_tracks, bin_bp, channels=4):
        layers = nn.Conv1d(4, channels, 9, padding="same"), nn.ReLU(), nn.AvgPool1d(bin_bp)
        super().__init__(*layers, nn.Conv1d(channels, n_tracks, 1))
"""


@pytest.fixture
def own(tiny, tmp_path):
    """The tiny spec with a network from a file; called with changes of its text."""
    (tmp_path / "net.py").write_text(NET)

    def edit(*changes):
        text = SPEC[: SPEC.index("models:")] + MODELS + SPEC[SPEC.index("search:") :]
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        tiny.write_text(text)
        return tiny

    return edit


def refused(result):
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr


def test_a_network_that_can_run_is_said_to(genotune, own):
    result = genotune("check", own())
    assert result.returncode == 0, result.stderr
    assert "torch_module: 0 searched parameters" in result.stdout


def test_checking_runs_no_code(genotune, own, tmp_path):
    (tmp_path / "net.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w').close()\n{NET}")
    assert genotune("check", own()).returncode == 0
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_missing_is_told(genotune, own, tmp_path, command):
    (tmp_path / "net.py").unlink()
    message = refused(genotune(command, own()))
    assert "tiny.yaml:13: params.module: net.py: no such file" in message
    assert not (tmp_path / ".genotune").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("net.py:Net", "net.py")], "tiny.yaml:13: params.module: found 'net.py'; write the file and the class in it"),
        (
            [("net.py:Net", "net.py:Nett")],
            "tiny.yaml:13: params.module: net.py has no class 'Nett'. Did you mean 'Net'?",
        ),
        ([("      module: net.py:Net\n", "")], "tiny.yaml:12: params.module: is missing, and has no default."),
        (
            [("bin_bp: 16\n", "bin_bp: 16\n      arguments: {chanels: 3}\n")],
            "tiny.yaml:16: params.arguments.chanels: Net has no such argument. Did you mean 'channels'?",
        ),
        ([("bin_bp: 16\n", "bin_bp: 16\n      loss: bce\n")], "tiny.yaml:16: params.loss: found bce; the tracks hold"),
    ],
)
def test_a_fault_of_the_spec_is_told_with_its_line(genotune, own, changes, message):
    assert message in refused(genotune("check", own(*changes)))


def test_a_network_that_fails_whatever_is_drawn_ends_the_sweep_with_the_reason(genotune, own, tmp_path):
    (tmp_path / "net.py").write_text(NET.replace("Conv1d(4,", "Conv1d(5,"))
    message = refused(
        genotune("run", own(("bin_bp: 16\n", "bin_bp: 16\n      learning_rate: {uniform: [0.001, 0.1]}\n")))
    )
    assert "All 3 trials failed. The first (trial 0):" in message
    assert "net.py: Net failed on a batch of shape (2, 4, 256): RuntimeError: Given groups=1" in message
