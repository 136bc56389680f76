"""A network built from the text of a Python file, tried on two windows; and what went wrong in it, by file and line.

The text is run as a module of its own, under a name that only this text has: two versions of a file in one process
don't meet. A traceback shows its lines, and dataclasses and type hints in it work as in a file that is imported.
"""

import hashlib
import inspect
import linecache
import math
import sys
import traceback
import types
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genotune.full_disk import full_disk
from genotune.trainables.sequence_network_model import LinkedNetwork, check_shape
from genotune.trainables.torch_process import is_of_process
from genotune.trainables.trainable import FitError


class Source(NamedTuple):
    """A class in the text of a file.

    Attributes:
        file: its path, as the spec writes it.
        class_name: of the class.
        text: of the file.
    """

    file: str
    class_name: str
    text: str

    @property
    def digest(self) -> str:
        """Of the path and the text."""
        return hashlib.sha256(f"{self.file}\n{self.text}".encode()).hexdigest()[:12]

    @property
    def shown_file(self) -> str:
        """What tracebacks call the file; this text's alone, so that it never shows the lines of another version."""
        return f"<{self.file} {self.digest}>"


class Windows(NamedTuple):
    """The shape of what goes in and what has to come out: tracks, bases of a window, bases of a bin."""

    n_tracks: int
    length_bp: int
    bin_bp: int


def build_network(source: Source, *, arguments: Mapping[str, Any], windows: Windows) -> nn.Module:
    """The network that a class makes of its arguments, in training mode, after it gave what is wanted on two windows.

    Its weights are drawn from torch's global generator; what it draws while it is tried is given back.

    Args:
        source: of the class.
        arguments: by name; those of `Windows` are added where the class has arguments of their names.
        windows: that it is built for.

    Raises:
        FitError: it can't be built, is no network, or gives something else.
    """
    try:
        make = getattr(_run(source), source.class_name)
        known = inspect.signature(make).parameters
        told = {name: value for name, value in windows._asdict().items() if name in known}
        network = make(**{**told, **arguments})
    except (Exception, SystemExit) as error:
        if is_of_process(error):
            raise
        raise _fit_error(error, source, "can't be built") from error
    what = f"{source.file}: {source.class_name}"
    if not isinstance(network, nn.Module):
        raise FitError(f"{what} made a {type(network).__name__}; it must be a torch.nn.Module.")
    _try(network, source, windows)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise FitError(f"{what} has no parameters to learn. Make its layers attributes of self, in __init__.")
    return network.train()


def named(error: Exception, source: Source) -> FitError | None:
    """The error of a fit with file and line, if it came out of the network; None if it came from elsewhere."""
    if is_of_process(error) or full_disk(error) or isinstance(error, FitError):
        return None
    if type(error).__module__.startswith("torch._dynamo"):
        return _fit_error(error, source, "can't be compiled (`compile: false` would leave it as it is)")
    forward = LinkedNetwork.forward.__code__
    passed = {(frame.f_code.co_filename, frame.f_code.co_name) for frame, _ in traceback.walk_tb(error.__traceback__)}
    is_its_own = (forward.co_filename, forward.co_name) in passed or any(
        file == source.shown_file for file, _ in passed
    )
    return _fit_error(error, source, "failed") if is_its_own else None


def _run(source: Source) -> types.ModuleType:
    """The module that the text makes."""
    module = types.ModuleType(f"genotune_code_{source.digest}")
    module.__file__ = source.shown_file
    linecache.cache[source.shown_file] = (
        len(source.text),
        None,  # there is no such file, so none that could have changed since
        source.text.splitlines(keepends=True),
        source.shown_file,
    )
    # Dataclasses and type hints look up their names in the module that they say they are from.
    sys.modules[module.__name__] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of the style of a file that isn't ours
        code = compile(source.text, source.shown_file, "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def _try(network: nn.Module, source: Source, windows: Windows) -> None:
    """Nothing, if the network gives numbers of the right shape for two windows.

    Raises:
        FitError: it doesn't.
    """
    codes = np.random.default_rng(0).integers(0, 4, (2, windows.length_bp))
    codes[1, : windows.length_bp // 4] = 4
    one_hot = torch.eye(5, 4)[torch.from_numpy(codes)].transpose(1, 2)
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            outputs = network(one_hot)
    except Exception as error:
        if is_of_process(error):
            raise
        raise _fit_error(error, source, f"failed on a batch of shape {tuple(one_hot.shape)}") from error
    what = f"{source.file}: {source.class_name}"
    try:
        outputs = check_shape(outputs, wanted=(2, windows.n_tracks, windows.length_bp // windows.bin_bp))
    except FitError as error:
        raise FitError(f"{what}: {error}") from None
    if not outputs.is_floating_point():
        raise FitError(f"{what} gives {outputs.dtype}; it must give floating-point numbers.")
    _check_finite(outputs, what)


def _check_finite(outputs: Tensor, what: str) -> None:
    n_strange = int((~outputs.isfinite()).sum())
    if n_strange:
        share = math.ceil(100 * n_strange / outputs.numel())
        raise FitError(
            f"{what} gives NaN or infinite values ({share}% of its output) before it has learned anything. Look for a "
            "division by zero, a logarithm, or weights that were never set."
        )


def _fit_error(error: BaseException, source: Source, what: str) -> FitError:
    """'net.py:12: Net failed: RuntimeError: ...', the last line of the file that the error went through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source.shown_file]
    lines = [frame.lineno for frame in frames[-1:]]
    if not lines and isinstance(error, SyntaxError):
        lines = [error.lineno]
    where = f"{source.file}:{lines[0]}" if lines else source.file
    line = frames[-1].line if frames else None
    quoted = f" in `{line}`" if line and not line.startswith("raise") else ""
    return FitError(f"{where}: {source.class_name} {what}: {type(error).__name__}{quoted}: {error}{_advice(error)}")


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return (
            ". Only packages that are installed wherever a trial runs can be imported; code of your own must stand in "
            "this one file."
        )
    return ""
