"""genotune: leak-safe, resumable, MLflow-tracked hyperparameter sweeps for models of the genome."""

from importlib.metadata import version

__version__ = version("genotune")
