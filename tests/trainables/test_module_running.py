"""A network from the text of a file works as one that is imported; what goes wrong in it has its file and line."""

import errno
import linecache
import sys
import traceback

import pytest
import torch

from genotune.trainables.module_running import Source, Windows, build_network, named
from genotune.trainables.trainable import FitError

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n_tracks, bin_bp, channels=3):
        super().__init__()
        self.filters = nn.Conv1d(4, channels, 5, padding="same")
        self.pool = nn.AvgPool1d(bin_bp)
        self.head = nn.Conv1d(channels, n_tracks, 1)

    def forward(self, x):
        return self.head(self.pool(self.filters(x).relu()))
"""
WINDOWS = Windows(n_tracks=2, length_bp=64, bin_bp=16)


def source(text=NET, *, name="Net", file="nets/net.py"):
    return Source(file, name, text)


def build(text=NET, *, windows=WINDOWS, **arguments):
    torch.manual_seed(1)
    return build_network(source(text), arguments=arguments, windows=windows)


def changed(*pairs):
    text = NET
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_a_network_is_built_with_its_arguments_and_what_is_offered():
    network = build(channels=7)
    assert network.training
    assert network.filters.out_channels == 7
    assert network(torch.zeros(3, 4, 64)).shape == (3, 2, 4)


def test_an_argument_that_is_given_goes_before_what_is_offered():
    text = changed(
        ("channels=3", "channels=3, length_bp=0"), ("self.head =", "self.length_bp = length_bp\n        self.head =")
    )
    assert build(text).length_bp == 64
    assert build(text, length_bp=5).length_bp == 5


def test_the_weights_are_those_that_the_class_draws_by_itself():
    torch.manual_seed(1)
    filters = torch.nn.Conv1d(4, 3, 5)
    built = build()
    assert torch.equal(built.filters.weight, filters.weight)
    drawing = changed(("return self.head(", "return torch.rand(1) + self.head("))
    assert torch.equal(build(drawing).filters.weight, filters.weight)


def test_what_is_drawn_while_it_is_tried_is_given_back():
    build()
    after = torch.rand(1)
    build(changed(("return self.head(", "return torch.rand(1) + self.head(")))
    assert torch.equal(torch.rand(1), after)


def test_trying_a_network_leaves_what_it_learns_as_it_was():
    text = changed(
        (
            "self.pool = nn.AvgPool1d(bin_bp)",
            "self.pool = nn.Sequential(nn.AvgPool1d(bin_bp), nn.BatchNorm1d(channels))",
        )
    )
    assert int(build(text).pool[1].num_batches_tracked) == 0


def test_layers_that_learn_their_size_from_the_first_batch_have_it():
    assert build(changed(("nn.Conv1d(4, channels, 5", "nn.LazyConv1d(channels, 5"))).filters.weight.shape == (3, 4, 5)


def test_dataclasses_and_type_hints_work_as_in_a_file_that_is_imported():
    text = (
        "from __future__ import annotations\nimport dataclasses, inspect, typing\n\n\n"
        "@dataclasses.dataclass\nclass Shape:\n    width: Width = 5\n\n\nWidth = int\n"
        "assert typing.get_type_hints(Shape) == {'width': int}\n"
        "assert 'width: Width' in inspect.getsource(Shape)\n"
    )
    assert build(text + NET).filters.out_channels == 3


def test_two_versions_of_a_file_do_not_meet():
    """Each has its own module, and a traceback shows the lines of its own text."""
    old = build(NET + "\n# as it was\n")
    new = build(
        changed(("def forward", "# a line more\n    def forward"), (".relu()", ".fails()"))
        .replace("channels=3", "channels=4")
        .replace(".fails()", ".relu()")
    )
    assert type(old) is not type(new)
    assert sys.modules[type(old).__module__].Net is type(old)
    assert sys.modules[type(new).__module__].Net is type(new)
    for network, line in ((old, 13), (new, 14)):
        with pytest.raises(RuntimeError, match="to have 4 channels") as caught:
            network(torch.zeros(1, 5, 64))
        (frame,) = (one for one in traceback.extract_tb(caught.value.__traceback__) if "nets/net.py" in one.filename)
        assert (frame.lineno, frame.line) == (line, "return self.head(self.pool(self.filters(x).relu()))")


def test_checking_the_cache_of_lines_keeps_those_of_the_text():
    build()
    linecache.checkcache()
    assert linecache.getline(source().shown_file, 5) == "class Net(nn.Module):\n"


NO_HELPERS = (
    r"net\.py:1: Net can't be built: ModuleNotFoundError in `import helpers`: No module named 'helpers'\. Only "
    r"packages that are installed wherever a trial runs can be imported; code of your own must stand in this one file\."
)
ALL = "return self.head(self.pool(self.filters(x).relu()))"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "super().__init__()",
            "1 / 0",
            r"net\.py:7: Net can't be built: ZeroDivisionError in `1 / 0`: division by zero",
        ),
        ("import torch\n", "import helpers\n", NO_HELPERS),
        ("import torch\n", "import sys; sys.exit('enough')\n", r"net\.py:1: Net can't be built: SystemExit .*enough"),
        ("import torch\n", "import torch, (\n", r"nets/net\.py:1: Net can't be built: SyntaxError: "),
        ("channels=3", "width", r"nets/net\.py: Net can't be built: TypeError: .*missing 1 required .*'width'"),
        ("class Net(", "class Other(", r"nets/net\.py: Net can't be built: AttributeError: .*no attribute 'Net'"),
        (ALL, "raise KeyError('x')", r"net\.py:13: Net failed on a batch of shape \(2, 4, 64\): KeyError: 'x'$"),
        (ALL, "self.filters(x.mT)", r"net\.py:13: .* failed on .*: RuntimeError in `self\.filters.*`: Given groups=1"),
        (
            ALL,
            "return self.filters(x)[:, :2]",
            r"net\.py: Net: the network gave \(2, 2, 64\); wanted is .* \(2, 2, 4\)",
        ),
        (ALL, "return 3, x", r"nets/net\.py: Net: the network gave tuple; wanted is"),
        (ALL, ALL + " / 0", r"nets/net\.py: Net gives NaN or infinite values \(100% of its output\) before it has"),
        (ALL, "return x[:, :2, ::16].int()", r"Net gives torch\.int32; it must give floating-point numbers"),
    ],
)
def test_what_goes_wrong_is_told_with_file_and_line(old, new, message):
    with pytest.raises(FitError, match=message):
        build(changed((old, new)))


def test_what_is_no_network_is_refused():
    with pytest.raises(FitError, match=r"nets/net\.py: Net made a Net; it must be a torch\.nn\.Module\."):
        build("class Net:\n    pass\n")


def test_a_network_without_parameters_is_refused():
    text = "from torch import nn\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x[:, :2, ::16]\n"
    with pytest.raises(FitError, match=r"nets/net\.py: Net has no parameters to learn\. Make its layers attributes of"):
        build(text)
    frozen = changed(
        (
            "self.head = nn.Conv1d(channels, n_tracks, 1)",
            "self.head = nn.Conv1d(channels, n_tracks, 1)\n        self.requires_grad_(False)",
        )
    )
    with pytest.raises(FitError, match="has no parameters to learn"):
        build(frozen)


def raised_within(error):
    """The error as it comes out of a network's forward."""
    head = "    def forward(self, x):\n"
    text = changed((head, f"{head}        if callable(x):\n            x()\n"))
    network = build(text)

    def fail():
        raise error

    with pytest.raises(type(error), match="short") as caught:
        network(fail)
    return caught.value, source(text)


def test_what_came_out_of_the_network_is_named():
    error, where = raised_within(ValueError("too short"))
    assert str(named(error, where)) == "nets/net.py:14: Net failed: ValueError in `x()`: too short"


@pytest.mark.parametrize("error", [MemoryError("short"), torch.OutOfMemoryError("short"), FitError("told in short")])
def test_memory_that_is_short_may_be_tried_again_and_what_is_told_is_told(error):
    assert named(*raised_within(error)) is None


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access; in short"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED, in short"),
        OSError(errno.ENOSPC, "No space left on device: short"),
    ],
)
def test_what_a_gpu_or_a_disk_fails_with_is_no_fault_of_the_network(error):
    assert named(*raised_within(error)) is None


def test_a_gpu_that_fails_while_a_network_is_tried_is_no_fault_of_the_network():
    head = "    def forward(self, x):\n"
    broken = changed((head, f"{head}        raise torch.AcceleratorError('CUDA error: unspecified launch failure')\n"))
    with pytest.raises(torch.AcceleratorError, match="unspecified launch failure"):
        build(f"import torch\n{broken}")


def test_what_comes_from_elsewhere_is_left_as_it_is():
    assert named(ValueError("the disk is full"), source()) is None
