"""A whole sweep over networks of a person's own: some draws fail, one wins, and loads where it is trusted."""

import json
import subprocess
import sys

import pytest

from builders import SPEC, clean_environment, rows
from genotune.journal import read_state
from sweeps import assert_record_is_complete, curves, runs, start, sweep_folder, wait_for

MODELS = """\
models:
  - family: torch_module
    params:
      module: {choice: [nets/net.py:Net, nets/other/net.py:Other]}
      arguments: {channels: {int: [2, 5]}}
      windows: {length_bp: 256, stride_bp: 256, select: tiles}
      bin_bp: 16
      learning_rate: {log_uniform: [1.0e-3, 3.0e-2]}
"""
NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, n_tracks, bin_bp, channels):
        super().__init__()
        self.filters = nn.Conv1d(4, channels, 9, padding="same")
        self.pool = nn.MaxPool1d(bin_bp)
        self.head = nn.Conv1d(channels, n_tracks, 1)

    def forward(self, one_hot):
        return self.head(self.pool(self.filters(one_hot)).relu())
"""
FAILS = """\
        if self.head.in_channels == 3 and self.training:
            raise ValueError("three is too few")
"""
LOAD = """
import json, sys, warnings
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
config = json.loads(sys.argv[2])
model = mlflow.pyfunc.load_model("models:/tiny@best", **({"model_config": config} if config else {}))
print(json.dumps(model.predict(pd.DataFrame({"sequence": [sys.argv[3]]})).tolist()))
assert "ray" not in sys.modules
"""


@pytest.fixture
def own(tiny, tmp_path):
    """A sweep over two networks, of which the one fails in training wherever it has three channels."""
    (tmp_path / "nets" / "other").mkdir(parents=True)
    (tmp_path / "nets" / "net.py").write_text(NET.replace("        return", f"{FAILS}        return"))
    other = NET.replace("Net(", "Other(").replace("9", "15").replace("MaxPool1d", "AvgPool1d")
    (tmp_path / "nets" / "other" / "net.py").write_text(other)
    text = SPEC[: SPEC.index("models:")] + MODELS + SPEC[SPEC.index("search:") :]
    tiny.write_text(text.replace("kind: tpe", "kind: random").replace("trials: 5", "trials: 8"))
    return tiny


def load(tmp_path, config, length_bp):
    uri = f"sqlite:///{tmp_path / '.genotune' / 'mlflow.db'}"
    command = [sys.executable, "-c", LOAD, uri, json.dumps(config), "ACGT" * (length_bp // 4)]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.run(command, env=clean_environment(), cwd=elsewhere, capture_output=True, text=True, check=False)


def test_draws_that_fail_are_recorded_with_file_and_line_and_a_winner_is_found_among_the_rest(genotune, own, tmp_path):
    result = genotune("run", own)
    assert result.returncode == 0, result.stdout + result.stderr
    state = read_state(sweep_folder(tmp_path))
    assert state.status == "complete"
    assert {trial.params["module"] for trial in state.trials.values()} == {
        "nets/net.py:Net",
        "nets/other/net.py:Other",
    }
    doomed = [
        trial
        for trial in state.trials.values()
        if trial.params["module"] == "nets/net.py:Net" and trial.params["arguments"]["channels"] == 3
    ]
    failed = [trial for trial in state.trials.values() if trial.status == "failed"]
    assert failed == doomed
    assert 0 < len(failed) < len(state.trials)
    reason = "nets/net.py:13: Net failed: ValueError: three is too few"
    assert {trial.reason for trial in failed} == {reason}
    assert_record_is_complete(tmp_path, state)
    told = [tags["genotune.reason"] for _, status, tags in runs(tmp_path) if status == "FAILED"]
    assert told == [reason] * len(failed)
    assert_the_code_is_kept(own, tmp_path)
    assert_the_winner_loads_only_where_it_is_trusted(tmp_path, state)


def assert_the_code_is_kept(own, tmp_path):
    """Both files are artifacts of the sweep; those of one name each under its own."""
    (parent,) = (run_id for run_id, _, tags in runs(tmp_path) if "mlflow.parentRunId" not in tags)
    kept = {path.name: path.read_text() for path in (tmp_path / ".genotune").rglob(f"{parent}/artifacts/code/*")}
    assert len(kept) == 2
    assert all(name.startswith("net-") and name.endswith(".py") for name in kept)
    assert set(kept.values()) == {(own.parent / "nets" / place).read_text() for place in ("net.py", "other/net.py")}


def assert_the_winner_loads_only_where_it_is_trusted(tmp_path, state):
    loaded = load(tmp_path, {"trust_code": True}, 256)
    assert loaded.returncode == 0, loaded.stderr
    (prediction,) = json.loads(loaded.stdout.splitlines()[-1])
    assert [len(track) for track in prediction] == [8]  # a quarter of the 16 bins at each end is context
    for config in (None, {"trust_code": False}):
        refused = load(tmp_path, config, 256)
        assert refused.returncode == 1
        assert "this model brings Python code (nets/" in refused.stderr
        assert "load_model(..., model_config={'trust_code': True})" in refused.stderr
    database = tmp_path / ".genotune" / "mlflow.db"
    (code,) = {
        value for (value,) in rows(database, "select param_value from logged_model_params where param_key = 'code'")
    }
    assert json.loads(code) == [state.trials[state.winner["trial"]].params["module"].partition(":")[0]]


@pytest.mark.slow
def test_a_sweep_goes_on_with_the_code_that_it_began_with(genotune, own, tmp_path):
    """Whatever became of the files meanwhile, once a person says so."""
    undisturbed = genotune("run", own, "--workspace", tmp_path / "undisturbed")
    assert undisturbed.returncode == 0, undisturbed.stderr
    (folder,) = (tmp_path / "undisturbed" / "sweeps").iterdir()
    expected = read_state(folder)
    process = start(own, tmp_path, "run", own)
    disturbed = wait_for(tmp_path, lambda state: sum(len(trial.curve) for trial in state.trials.values()) >= 3, process)
    process.kill()
    process.communicate(timeout=60)
    (tmp_path / "nets" / "net.py").write_text("nothing of what it was")
    (tmp_path / "nets" / "other" / "net.py").unlink()
    result = genotune("resume", disturbed.name)
    assert result.returncode == 2
    assert "nets/other/net.py: no such file" in result.stderr
    assert f"genotune resume {disturbed.name} --as-it-began" in result.stderr
    result = genotune("resume", disturbed.name, "--as-it-began")
    assert result.returncode == 0, result.stderr
    state = read_state(disturbed)
    assert curves(state) == curves(expected)
    assert state.winner == expected.winner
    assert state.scores["winner"] == expected.scores["winner"]
