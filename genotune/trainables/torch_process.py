"""A process that fits networks: its threads, its part of the GPU, its kernels, and the seeds of what is random."""

import os
from typing import Final

import numpy as np
import torch

from genotune.trainables.trainable import FitPlan

_BROKEN: Final = ("CUDA error", "cuDNN error", "NCCL error", "HIP error")
"""How torch begins what a GPU failed with, where that is no AcceleratorError (cuBLAS: a CUDA error too).

Source: torch 2.13, ATen/cuda/Exceptions.h and c10d/NCCLUtils.hpp; HIP's are these with the name replaced.
"""


def is_of_process(error: BaseException) -> bool:
    """Whether an error is of the process and not of a network: no memory, or a GPU that failed.

    After the first error of a GPU every call to it fails in this process, so that no other trial may run in it.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError | torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _BROKEN)


def prepare_process(plan: FitPlan) -> None:
    """Make the process keep to the plan; it may have run another trial before."""
    torch.set_num_threads(plan.n_threads)
    if plan.device == "cuda":
        torch.cuda.set_per_process_memory_fraction(plan.gpu_share)
    _set_determinism(plan.reproducible, plan.device)


def seed_torch(seed: int, epoch: int, *, rank: int = 0) -> None:
    """Seed torch's generators from the seed and the epoch (0: the first weights, the same for all ranks)."""
    entropy = [seed, epoch, rank] if rank else [seed, epoch]
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1))


def _set_determinism(reproducible: bool, device: str) -> None:
    """Only deterministic kernels, or any; set both ways, for the process may have run another trial before."""
    if reproducible and device == "cuda":
        # cuBLAS reads it when it is first used, and is not deterministic without it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(reproducible)
    torch.backends.cudnn.benchmark = not reproducible
