"""A process that fits networks: its threads, its part of the GPU, its kernels, and the seeds of what is random."""

import os

import numpy as np
import torch

from genotune.trainables.trainable import FitPlan


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
