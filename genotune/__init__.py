"""genotune: leak-safe, resumable, MLflow-tracked hyperparameter sweeps for models of the genome."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("genotune")
except PackageNotFoundError:  # a folder of sources, as on a machine that only trains
    __version__ = "not installed"
