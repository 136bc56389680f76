"""The network: what it gives, and that its parts do what their settings say."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from genotune.trainables.normalisation import LayerNorm, SharedBatchNorm
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.poisson_cnn_network import AttentionPool
from genotune.trainables.trainable import FitPlan
from genotune.trainables.windows import Tiles

PLAN = FitPlan(seed=0, max_epochs=1)


def network(*, n_outputs=2, length_bp=128, seed=7, **values):
    defaults = {"windows": Tiles(length_bp=length_bp, stride_bp=64), "bin_bp": 32, "channels": 6, "n_blocks": 2}
    torch.manual_seed(seed)
    return PoissonCNN(**{**defaults, **values}).build_network(n_outputs, plan=PLAN)


def awake(net):
    """With a head that hears the features."""
    torch.manual_seed(3)
    nn.init.normal_(net.head.weight)
    if net.total is not None:
        nn.init.normal_(net.total.weight)
    return net


def bases(*, n=3, length_bp=128, seed=0):
    """One-hot (example, 4, base) whose channels lie last, as the trainer makes it."""
    codes = np.random.default_rng(seed).integers(0, 5, (n, length_bp))
    return functional.embedding(torch.from_numpy(codes), torch.eye(5, 4)).transpose(1, 2)


def hooked(net, name):
    """Inputs and outputs of a part, filled in as it is called."""
    seen = []
    net.get_submodule(name).register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    return seen


ALL_CHOICES = [
    {
        "pooling": pooling,
        "normalisation": normalisation,
        "activation": activation,
        "stem_activation": stem,
        "head": head,
    }
    for pooling, normalisation, activation, stem, head in itertools.product(
        ("max", "mean", "attention"),
        ("batch", "group", "layer", "none"),
        ("relu", "gelu", "silu"),
        ("none", "relu", "exponential"),
        ("per_bin", "profile_total"),
    )
]


@pytest.mark.parametrize("choices", ALL_CHOICES[::5], ids=lambda choices: "-".join(choices.values()))
def test_whatever_the_choices_outputs_are_zero_at_first_and_every_weight_learns(choices):
    net = network(dropout=0.0, **choices)
    out = net(bases())
    assert out.shape == (3, 2, 4)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, torch.zeros_like(out), atol=1e-6, rtol=0)
    awake(net)(bases()).square().mean().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any() or "bias" in name, name  # one that a normalisation takes away again stays


def test_the_default_weights_are_those_that_the_seed_has_always_given():
    """Sums of the weights, and of each times its place in the tensor, taken before there were choices."""
    state = network().state_dict()
    for name, total, placed in [
        ("stem.weight", -1.2128773020231165, -332.852554158133),
        ("stem.bias", 0.059580429980996996, -0.10344697564141825),
        ("blocks.0.layers.2.weight", 1.075600656644383, 49.40680744130805),
        ("blocks.0.layers.5.weight", -0.1668386021628976, -16.04977821186185),
        ("blocks.0.layers.5.bias", 0.5395130962133408, 1.8704942017793655),
        ("blocks.1.layers.2.weight", -0.9303534601349384, -85.3301128228195),
        ("blocks.1.layers.5.weight", -1.431701172143221, -40.94567218050361),
        ("blocks.1.layers.5.bias", -0.08424290269613266, 0.4441159516572952),
    ]:
        values = state[name].double().contiguous().flatten()
        assert float(values.sum()) == pytest.approx(total, abs=1e-9), name
        assert float(values @ torch.arange(len(values)).double()) == pytest.approx(placed, abs=1e-7), name
    assert {name.rpartition(".")[0] for name in state} == {
        "stem", "norm", "head",
        *(f"blocks.{block}.layers.{layer}" for block in (0, 1) for layer in (0, 2, 3, 5)),
    }  # fmt: skip


def test_the_default_network_computes_what_it_has_always_computed():
    net = network()
    with torch.no_grad():
        net.head.weight.copy_(torch.linspace(-1, 1, 12).reshape(2, 6, 1, 1))
    torch.manual_seed(1)  # of the dropout
    expected = [
        [-2.950450897216797, -2.852910041809082, -0.68434739112854, -0.7092769145965576],
        [2.59423828125, 1.5521550178527832, 0.9960224628448486, 0.46666884422302246],
    ]
    np.testing.assert_allclose(net(bases())[0].detach(), expected, rtol=1e-4, atol=1e-5)
    assert float(torch.rand(1)) == pytest.approx(0.4053, abs=1e-4)


def test_the_one_hot_reaches_the_filters_without_a_copy():
    net = network()
    seen = hooked(net, "stem")
    given = bases()
    net(given)
    taken, features = seen[0]
    assert taken.data_ptr() == given.data_ptr()
    assert taken.is_contiguous(memory_format=torch.channels_last)
    assert features.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("values", [{}, {"normalisation": "layer"}, {"pooling": "attention"}, {"pooling": "mean"}])
def test_channels_lie_last_up_to_the_head(values):
    net = network(**values)
    seen = hooked(net, "head")
    net(bases())
    assert seen[0][0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("values", [{}, {"head": "profile_total"}, {"pooling": "attention"}])
def test_a_one_hot_that_lies_otherwise_in_memory_gives_the_same(values):
    net = awake(network(**values)).eval()
    torch.testing.assert_close(net(bases().contiguous()), net(bases()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("values", [{"n_blocks": 0}, {"bin_bp": 1, "n_blocks": 1}, {"head": "profile_total"}])
def test_it_works_for_other_lengths_than_it_was_trained_on(values):
    net = network(**values)
    n_bins = 256 // values.get("bin_bp", 32)
    assert net(bases(length_bp=256)).shape == (3, 2, n_bins)


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_a_bin_is_pooled_from_its_own_bases_alone(pooling):
    net = awake(network(pooling=pooling, n_blocks=0, stem_width=3)).eval()
    given = bases()
    changed = given.clone()
    changed[:, :, 33:63] = changed[:, :, 33:63].roll(1, dims=1)
    differs = (net(given) != net(changed)).any(0).any(0)
    assert differs.tolist() == [False, True, False, False]


def test_attention_is_the_mean_for_weights_of_zero_and_nearly_the_maximum_for_large_ones():
    motifs = torch.randn(2, 5, 1, 12, generator=torch.Generator().manual_seed(0))
    pool = AttentionPool(5, bin_bp=4)
    with torch.no_grad():
        pool.attention.weight.zero_()
        torch.testing.assert_close(pool(motifs), functional.avg_pool2d(motifs, (1, 4)))
        pool.attention.weight.copy_(1000 * torch.eye(5))
        torch.testing.assert_close(pool(motifs), functional.max_pool2d(motifs, (1, 4)), rtol=1e-3, atol=1e-3)


def test_attention_by_hand():
    pool = AttentionPool(1, bin_bp=2)
    pooled = pool(torch.tensor([0.0, 1.0, 3.0, 3.0]).reshape(1, 1, 1, 4))
    share = math.exp(2) / (1 + math.exp(2))
    torch.testing.assert_close(pooled, torch.tensor([share, 3.0]).reshape(1, 1, 1, 2))


def test_attention_learns_from_all_channels():
    pool = AttentionPool(2, bin_bp=2)
    with torch.no_grad():
        pool.attention.weight.copy_(torch.tensor([[0.0, 100.0], [0.0, 0.0]]))
    pooled = pool(torch.tensor([[1.0, 2.0], [0.0, 1.0]]).reshape(1, 2, 1, 2))
    torch.testing.assert_close(pooled.flatten(), torch.tensor([2.0, 0.5]))


@pytest.mark.parametrize(
    ("normalisation", "kind"),
    [("batch", SharedBatchNorm), ("group", nn.GroupNorm), ("layer", LayerNorm), ("none", nn.Identity)],
)
def test_every_block_and_the_end_have_the_normalisation_that_was_asked_for(normalisation, kind):
    net = network(normalisation=normalisation)
    assert type(net.norm) is kind
    for block in net.blocks:
        assert [type(block.layers[place]) for place in (0, 3)] == [kind, kind]
        assert (block.layers[2].bias is None) == (normalisation != "none")


@pytest.mark.parametrize(("channels", "n_groups"), [(32, 8), (12, 4), (7, 1), (1, 1)])
def test_groups_divide_the_channels(channels, n_groups):
    assert network(normalisation="group", channels=channels).norm.num_groups == n_groups


@pytest.mark.parametrize("normalisation", ["group", "layer", "none"])
def test_without_batch_normalisation_a_window_does_not_see_the_others(normalisation):
    net = awake(network(normalisation=normalisation, dropout=0.0)).train()
    together = net(bases())
    torch.testing.assert_close(net(bases()[:1]), together[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("activation", "kind"), [("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU)])
def test_the_blocks_and_the_end_have_the_activation_that_was_asked_for(activation, kind):
    net = network(activation=activation)
    assert type(net.activation) is kind
    for block in net.blocks:
        assert [type(block.layers[place]) for place in (1, 4)] == [kind, kind]


def test_an_exponential_stem_is_the_exponential_of_normalised_filters():
    net = network(stem_activation="exponential")
    filtered, activated = hooked(net, "stem"), hooked(net, "stem_activation")
    net(bases())
    features = filtered[0][1].detach()
    mean, variance = features.mean((0, 2, 3), keepdim=True), features.var((0, 2, 3), keepdim=True, correction=0)
    expected = ((features - mean) / (variance + 1e-5).sqrt()).exp()
    torch.testing.assert_close(activated[0][1].detach(), expected, rtol=1e-4, atol=1e-5)


def test_a_rectified_stem_gives_nothing_below_zero():
    net = network(stem_activation="relu")
    filtered, pooled = hooked(net, "stem"), hooked(net, "pool")
    net(bases())
    torch.testing.assert_close(pooled[0][0], filtered[0][1].clamp(min=0))


def test_a_profile_spreads_the_total_over_the_bins():
    net = awake(network(head="profile_total", n_outputs=3)).eval()
    profiles, totals = hooked(net, "head"), hooked(net, "total")
    rates = net(bases()).exp()
    expected = totals[0][1].exp()  # in means of a bin, times the bins of a window
    torch.testing.assert_close(rates.sum(2), 4 * expected)
    shares = profiles[0][1].squeeze(2).softmax(dim=2)
    torch.testing.assert_close(rates / rates.sum(2, keepdim=True), shares)
    torch.testing.assert_close(totals[0][0], profiles[0][0].mean((2, 3)))


def test_dropout_is_drawn_in_training_alone():
    net = awake(network(dropout=0.5, normalisation="layer"))
    assert not torch.equal(net(bases()), net(bases()))
    net.eval()
    assert torch.equal(net(bases()), net(bases()))


@pytest.mark.parametrize("values", [{}, {"head": "profile_total", "pooling": "attention"}])
def test_the_network_of_bf16_autocast_gives_float32(values):
    net = awake(network(dropout=0.0, **values))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(bases())
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, net(bases()), rtol=0.1, atol=0.1)


def test_the_filters_of_the_blocks_are_dilated_and_lie_in_memory_as_the_features_do():
    net = network(n_blocks=4, length_bp=1024, kernel_width=5)
    filters = [block.layers[2] for block in net.blocks]
    assert [layer.dilation for layer in filters] == [(1, 1), (1, 2), (1, 4), (1, 4)]
    for layer in [net.stem, *filters]:
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
