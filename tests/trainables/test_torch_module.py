"""A network from a person's file is trained, saved and loaded; a fault in it fails the fit with its place."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from genotune.errors import DataError
from genotune.store import SequenceOutline, SequenceStore
from genotune.trainables import build_trainable, load_model
from genotune.trainables.torch_module import TorchModule
from genotune.trainables.trainable import FitError, FitPlan

FILE = "nets/net.py"
NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n_tracks, bin_bp, channels=4):
        super().__init__()
        self.filters = nn.Conv1d(4, channels, 9, padding="same")
        self.pool = nn.MaxPool1d(bin_bp)
        self.head = nn.Conv1d(channels, n_tracks, 1)

    def forward(self, x):
        return self.head(self.pool(self.filters(x).relu()))
"""
LAST = "return self.head(self.pool(self.filters(x).relu()))"


def settings(**values):
    params = {
        "module": f"{FILE}:Net",
        "windows": {"length_bp": 256, "stride_bp": 128},
        "batch_size": 16,
        "learning_rate": 0.01,
        **values,
    }
    return build_trainable("torch_module", params, SequenceStore.columns)


def fit(store, splits, *, text=NET, seen=None, max_epochs=2, **values):
    def report(progress):
        if seen is not None:
            seen.append(progress.metrics["train_loss"])
        return 0.5

    plan = FitPlan(seed=1, max_epochs=max_epochs, code={FILE: text, "nets/other.py": "x"})
    return settings(**values).fit(store, splits, report=report, plan=plan)


@pytest.fixture
def folder(tmp_path, store, splits):
    """A saved model whose file leaves a trace when it is run."""
    trace = tmp_path / "it-ran"
    text = f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n# naïve\n{NET}"
    saved = tmp_path / "model"
    saved.mkdir()
    model = fit(store, splits, text=text)
    model.save(saved)
    trace.unlink()
    return saved, trace, model


@pytest.mark.parametrize("found", ["net.py", "net:Net", "net.py:", ":Net", "net.py:Net()", "net.txt:Net", "net.py:a.b"])
def test_a_module_is_named_by_file_and_class(found):
    with pytest.raises(ValidationError, match=r"write the file and the class in it: path/to/model\.py:ClassName\."):
        TorchModule(module=found)


def test_what_stands_before_the_last_colon_is_the_file():
    odd = TorchModule(module="../a:b/net.py:Net")
    assert (odd.file, odd.class_name) == ("../a:b/net.py", "Net")
    assert odd.code_files() == {"../a:b/net.py": ("module",)}


def test_a_network_learns(store, splits):
    losses = []
    fit(store, splits, seen=losses, max_epochs=6, arguments={"channels": 8})
    assert losses[-1] < losses[0] - 0.02


def test_values_are_taken_as_they_come_and_logits_through_the_link(store, splits):
    """A network that gives 5 counts for every bin of 32 bp predicts 5 / 32 per base."""
    text = NET.replace(LAST, "return 5 + 0 * self.head(self.pool(self.filters(x)))")
    codes = np.zeros((1, 256), dtype=np.uint8)
    values = fit(store, splits, text=text, output="values").predict(codes)
    np.testing.assert_allclose(values, 5 / 32, rtol=1e-6)
    assert not np.allclose(fit(store, splits, text=text).predict(codes), 5 / 32, rtol=0.1)
    assert settings(output="values").link("binary") == "identity"
    assert settings().link("binary") == "sigmoid"


def test_a_model_keeps_its_own_file_and_no_other(folder):
    saved, _, model = folder
    assert sorted(path.name for path in saved.iterdir()) == ["code_net.py", "model.json", "model.safetensors"]
    assert (saved / "code_net.py").read_text(encoding="utf-8").endswith(f"# naïve\n{NET}")
    assert json.loads((saved / "model.json").read_text())["code"] == [FILE]
    assert model.facts()["code"] == [FILE]


def test_code_is_run_only_where_it_is_trusted(folder):
    saved, trace, model = folder
    message = (
        r"model: this model brings Python code \(nets/net\.py\), which runs when it is loaded\. If you trust who mad"
    )
    with pytest.raises(DataError, match=message):
        load_model(saved)
    assert not trace.exists()
    loaded = load_model(saved, trust_code=True)
    assert trace.exists()
    codes = np.random.default_rng(0).integers(0, 5, (3, model.input_bp)).astype(np.uint8)
    np.testing.assert_array_equal(loaded.predict(codes), model.predict(codes))


def test_a_record_that_denies_its_code_does_not_get_it_run(folder):
    saved, trace, _ = folder
    record = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps({**record, "code": []}))
    with pytest.raises(DataError, match=r"nets/net\.py: the model names this file and doesn't bring it"):
        load_model(saved)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise ValueError('not so')", r"^nets/net\.py:14: Net failed: ValueError: not so$"),
        (
            "x = self.head(x[:, :3])",
            r"^nets/net\.py:14: Net failed: RuntimeError in `x = self\.head.*`: Given groups=1",
        ),
        ("return None", r"the network gave NoneType; wanted is"),
    ],
)
@pytest.mark.parametrize("when", ["self.training", "not self.training and self.trained"])
def test_a_network_that_fails_in_training_or_in_validation_fails_the_fit_with_its_line(
    store, splits, fault, message, when
):
    text = NET.replace(
        f"        {LAST}",
        f"        if {when}:\n            {fault}\n        self.trained = self.training\n        {LAST}",
    )
    text = text.replace("super().__init__()", "super().__init__(); self.trained = False")
    plan = FitPlan(seed=1, max_epochs=1, code={FILE: text})
    codes = np.zeros((2, 256), dtype=np.uint8)
    with pytest.raises(FitError, match=message):
        settings().fit(store, splits, report=lambda progress: progress.model.predict(codes).sum(), plan=plan)


def test_a_fault_that_the_file_has_no_line_of_names_the_file(store, splits):
    text = """\
from torch import nn


class Late(nn.Conv1d):
    def __init__(self):
        super().__init__(4, 1, 1)

    def train(self, mode=True):
        self.padding_mode = "unheard-of" if mode else "zeros"
        return super().train(mode)


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.MaxPool1d(32), Late())
"""
    with pytest.raises(FitError, match=r"^nets/net\.py: Net failed: NotImplementedError: "):
        fit(store, splits, text=text)


def test_what_a_report_raises_is_not_the_networks_fault(store, splits):
    def report(progress):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        settings().fit(store, splits, report=report, plan=FitPlan(seed=1, max_epochs=1, code={FILE: NET}))


def test_a_fault_of_the_data_stays_the_datas(make_store, splits):
    store = make_store([3000, 3000, 2000])
    store.signal[:] = -1
    with pytest.raises(FitError, match=r"^track 'cuts' holds values below zero"):
        fit(store, splits)


def test_problems_of_the_file_have_the_paths_of_the_settings():
    trainable = settings(arguments={"chanels": 3})
    assert trainable.problems(SequenceOutline(16, ("cuts",), (9000,))) == []
    [problem] = trainable.code_problems({FILE: NET})
    assert problem.path == ("arguments", "chanels")
    [problem] = settings(module=f"{FILE}:Tree").code_problems({FILE: NET})
    assert problem.path == ("module",)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own, as it compiles
def test_a_network_that_can_be_compiled_learns_as_one_that_is_not(store, splits):
    plain, compiled = [], []
    fit(store, splits, seen=plain)
    fit(store, splits, seen=compiled, compile=True)
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)
