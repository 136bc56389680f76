"""Normalisation over a batch that workers share, and over channels."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from genotune.trainables.normalisation import LayerNorm, SharedBatchNorm

WORKER = """
import sys
import torch, torch.distributed as dist
from safetensors.torch import load_file, save_file
from genotune.trainables.normalisation import SharedBatchNorm

folder = sys.argv[1]
rank, n_workers, n_own, first = map(int, sys.argv[2:])
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=n_workers)
given = load_file(f"{folder}/given")
features = given["features"][first : first + n_own].to(memory_format=torch.channels_last).requires_grad_()
norm = SharedBatchNorm(features.shape[1])
norm.load_state_dict({name.removeprefix("norm."): given[name] for name in given if name.startswith("norm.")})
out = norm(features)
(out * given["weights"][first : first + n_own]).sum().backward()
result = {"out": out.detach(), "features": features.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
result |= {name: getattr(norm, name) for name in ("running_mean", "running_var", "num_batches_tracked")}
norm.eval()
result["evaluated"] = norm(features).detach()
save_file({name: tensor.contiguous() for name, tensor in result.items()}, f"{folder}/result{rank}")
dist.destroy_process_group()
"""


def features_for(n, *, n_channels=5, n_bins=7, offset=3.0):
    rng = np.random.default_rng(0)
    values = rng.normal(offset, 2, (n, n_channels, 1, n_bins)) * np.arange(1, n_channels + 1)[:, None, None]
    return torch.from_numpy(values.astype(np.float32)).contiguous(memory_format=torch.channels_last)


def worn_norm(kind=SharedBatchNorm):
    """One whose weights and statistics aren't those of the beginning."""
    norm = kind(5)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 5))
        norm.bias.copy_(torch.linspace(-1, 1, 5))
        norm.running_mean.copy_(torch.linspace(0, 3, 5))
    return norm


def passed_through(norm, features, weights):
    features = features.clone(memory_format=torch.preserve_format).requires_grad_()
    out = norm(features)
    (out * weights).sum().backward()
    return {"out": out.detach(), "features": features.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}


def run_workers(folder, shares, *, features, weights, norm):
    given = {"features": features.contiguous(), "weights": weights.contiguous()}
    given |= {f"norm.{name}": tensor for name, tensor in norm.state_dict().items()}
    save_file(given, folder / "given")
    firsts = np.cumsum([0, *shares])
    command = [sys.executable, "-W", "error", "-c", WORKER, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with contextlib.ExitStack() as stack:
        workers = []
        for rank, n_own in enumerate(shares):
            own = [str(number) for number in (rank, len(shares), n_own, firsts[rank])]
            errors = stack.enter_context((folder / f"errors{rank}").open("w"))
            workers.append(stack.enter_context(subprocess.Popen([*command, *own], env=environment, stderr=errors)))
            stack.callback(workers[-1].kill)  # one that is left alone would wait for ever
        for rank, worker in enumerate(workers):
            assert worker.wait(timeout=200) == 0, (folder / f"errors{rank}").read_text()
    return [load_file(folder / f"result{rank}") for rank in range(len(shares))]


@pytest.mark.parametrize("shares", [(6, 6), (8, 0, 4)])
def test_workers_with_shares_of_a_batch_give_what_one_worker_gives(tmp_path, shares):
    features, weights = (
        features_for(12, offset=10.0),
        torch.randn(12, 5, 1, 7, generator=torch.Generator().manual_seed(3)),
    )
    alone = worn_norm(nn.BatchNorm2d)
    expected = passed_through(alone, features, weights)
    results = run_workers(tmp_path, shares, features=features, weights=weights, norm=worn_norm())
    for name in ("out", "features"):
        together = torch.cat([result[name] for result in results])
        torch.testing.assert_close(together, expected[name], rtol=1e-5, atol=1e-5)
    for name in ("weight", "bias"):  # of the sum of all losses, a part from each worker
        torch.testing.assert_close(sum(result[name] for result in results), expected[name], rtol=1e-4, atol=1e-4)
    evaluated = alone.eval()(features).detach()
    torch.testing.assert_close(torch.cat([result["evaluated"] for result in results]), evaluated, rtol=1e-5, atol=1e-5)
    for result in results:
        assert result["num_batches_tracked"] == 1
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(result[name], getattr(alone, name), rtol=1e-5, atol=1e-5)
            assert torch.equal(result[name], results[0][name])


@pytest.mark.parametrize("training", [True, False])
def test_by_itself_it_is_batch_normalisation_to_the_bit(training):
    features, weights = features_for(4), torch.randn(4, 5, 1, 7, generator=torch.Generator().manual_seed(3))
    ours, theirs = worn_norm().train(training), worn_norm(nn.BatchNorm2d).train(training)
    expected = passed_through(theirs, features, weights)
    for name, tensor in passed_through(ours, features, weights).items():
        assert torch.equal(tensor, expected[name]), name
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_layer_normalisation_is_over_the_channels_of_each_bin():
    features = features_for(3)
    norm = LayerNorm(5)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 5))
        norm.bias.copy_(torch.linspace(-1, 1, 5))
    values = features.double().numpy()
    centred = values - values.mean(axis=1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    expected = expected * np.linspace(0.5, 2, 5)[:, None, None] + np.linspace(-1, 1, 5)[:, None, None]
    out = norm(features)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-5, atol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)
