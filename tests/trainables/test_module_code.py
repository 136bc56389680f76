"""What reading a Python file tells of a class in it: what is wrong is found, and nothing is found that isn't."""

import warnings

import pytest

from genotune.trainables.module_code import Imported, class_problems, distributions_of, imports

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, n_tracks, channels, *, depth=2):
        super().__init__()
"""


def problems(text, *, name="Net", **arguments):
    found = class_problems(text, "net.py", class_name=name, arguments=arguments, offered=("n_tracks", "bin_bp"))
    return [(".".join(problem.path), problem.message) for problem in found]


def test_a_class_that_is_there_and_gets_what_it_takes_is_fine():
    assert problems(NET, channels=3) == []
    assert problems(NET, channels=3, depth=1, n_tracks=2) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class Net:\n    x = (\n", "net.py:2: not Python: '(' was never closed."),
        ("x = 1\nreturn x\n", "net.py:2: not Python: 'return' outside function."),
        ("x = 1\0\n", "net.py: not Python: source code string cannot contain null bytes."),
    ],
)
def test_what_is_not_python_is_told_with_its_line(text, message):
    assert problems(text) == [("module", message)]


def test_another_libraries_style_is_no_concern_of_ours():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert problems('x = "\\d"\n' + NET, channels=1) == []


def test_a_class_that_is_not_there_comes_with_the_one_that_is_meant_or_all():
    assert problems(NET, name="Nett") == [("module", "net.py has no class 'Nett'. Did you mean 'Net'?")]
    assert problems(NET, name="Tree") == [("module", "net.py has no class 'Tree'. It has Net.")]
    assert problems("x = 1\n") == [("module", "net.py has no class 'Net'. It has no class.")]


def test_a_function_is_told_from_a_class():
    assert problems("\ndef Net(channels):\n    pass\n") == [
        ("module", "net.py:2: Net is a function; name a class that is a torch.nn.Module.")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "from package import Net\n",
        "import package.Other as Net\n",
        "from package import *\n",
        "Net = make()\n",
        "try:\n    import fast\nexcept ImportError:\n    class Net:\n        pass\n",
    ],
)
def test_a_name_that_comes_about_otherwise_is_left_to_the_trial(text):
    assert problems(text, whatever=3) == []


def test_an_argument_that_the_class_has_not_is_told_with_what_it_has():
    assert problems(NET, chanels=3, channels=3) == [
        ("arguments.chanels", "Net has no such argument. Did you mean 'channels'?")
    ]
    assert problems(NET, sizes=3, channels=3) == [
        ("arguments.sizes", "Net has no such argument. It has channels, depth.")
    ]
    assert problems(NET, self=3, channels=3) == [
        ("arguments.self", "Net has no such argument. It has channels, depth.")
    ]


def test_an_argument_without_a_default_must_be_given_unless_it_is_offered():
    assert problems(NET) == [("arguments", "Net needs 'channels' too, which has no default.")]
    two = NET.replace("depth=2", "depth")
    assert problems(two) == [("arguments", "Net needs 'channels', 'depth' too, which have no defaults.")]
    assert problems(NET.replace("channels", "bin_bp")) == []
    assert problems(NET.replace("channels", "channels=3")) == []


def test_a_class_that_takes_any_name_still_needs_those_without_a_default():
    any_name = NET.replace("*, depth=2", "**others")
    assert problems(any_name, channels=1, depth=5) == []
    assert problems(any_name, depth=5) == [("arguments", "Net needs 'channels' too, which has no default.")]


def test_an_inherited_init_counts_as_its_own():
    child = NET.replace("Net", "Base") + "\n\nclass Net(Base):\n    def forward(self, x):\n        return x\n"
    assert problems(child, channels=3) == []
    assert problems(child, sizes=3, channels=3) == [
        ("arguments.sizes", "Net has no such argument. It has channels, depth.")
    ]


@pytest.mark.parametrize("base", ["nn.Module", "torch.nn.Module", "Module"])
def test_a_class_without_any_init_takes_nothing(base):
    text = f"class Net({base}):\n    def forward(self, x):\n        return x\n"
    assert problems(text) == []
    assert problems(text, width=3) == [("arguments.width", "Net has no such argument. It has none.")]


@pytest.mark.parametrize(
    "text",
    [
        "class Net(package.Base):\n    pass\n",
        "class A(nn.Module):\n    pass\n\nclass Net(A, package.Base):\n    pass\n",
        "@dataclass\nclass Net(nn.Module):\n    width: int\n",
        "class Net(nn.Module, metaclass=Meta):\n    pass\n",
        "class Net(nn.Module):\n    def __new__(cls, width):\n        return other(width)\n",
        "class Net(nn.Module):\n    @decorated\n    def __init__(self):\n        pass\n",
        "class Net(Net):\n    pass\n",
    ],
)
def test_what_reading_can_not_tell_is_left_to_the_trial(text):
    assert problems(text, width=3) == []
    assert problems(text) == []


def test_imports_are_found_wherever_they_stand():
    text = (
        "import os, torch.nn\n\ndef f():\n    from . import x\n    from .y.z import a\n    from grelu.model import b\n"
    )
    assert imports(text, "net.py") == [
        Imported(1, "os", False),
        Imported(1, "torch", False),
        Imported(4, "x", True),
        Imported(5, "y", True),
        Imported(6, "grelu", False),
    ]
    assert imports("import (", "net.py") == []


def test_the_distributions_of_what_files_import_are_named_and_python_brings_its_own():
    code = {"a.py": "import math, numpy.linalg\nimport yaml\n", "b.py": "from torch import nn\nfrom . import beside\n"}
    assert distributions_of(code) == {"numpy", "PyYAML", "torch"}
    assert distributions_of({}) == set()
