"""A fitted network predicts the same for both strands, in any batch, in the tracks' own units."""

import numpy as np
import pytest
import torch

from genotune.errors import DataError
from genotune.genome.sequence import reverse_complement
from genotune.genome.track_transforms import FittedStep
from genotune.trainables import load_model, sequence_network_model
from genotune.trainables.loss_functions import Start
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.sequence_network_model import LinkedNetwork, Outputs, SequenceNetworkModel, check_shape
from genotune.trainables.targets import Targets
from genotune.trainables.trainable import FitError, FitPlan
from genotune.trainables.windows import Tiles


def model(*, length_bp=256, both_strands=True, other_strand=(0, 1), transforms=((), ()), **values):
    settings = PoissonCNN(
        windows=Tiles(length_bp=length_bp, stride_bp=64),
        bin_bp=32,
        channels=8,
        n_blocks=2,
        reverse_complement=both_strands,
        **values,
    )
    torch.manual_seed(1)
    network = settings.build_network(2, plan=FitPlan(seed=0, max_epochs=1))
    torch.nn.init.normal_(network.head.weight)
    linked = LinkedNetwork(network, link="softplus", start=Start(torch.tensor([32.0, 64.0]), torch.ones(2)))
    outputs = Outputs(("a", "b"), Targets("signal", 32, transforms), "softplus", np.array(other_strand))
    return SequenceNetworkModel(linked, settings, outputs=outputs)


def codes_for(model, *, n=6, seed=0):
    return np.random.default_rng(seed).integers(0, 5, (n, model.input_bp)).astype(np.uint8)


def test_the_other_strand_gives_the_same_turned_round():
    both = model()
    codes = codes_for(both)
    predicted = both.predict(codes)
    assert predicted.std() > 0.01
    np.testing.assert_allclose(both.predict(reverse_complement(codes)), predicted[..., ::-1], rtol=1e-5, atol=1e-6)


def test_tracks_that_are_a_pair_of_strands_change_places_on_the_other_strand():
    paired = model(other_strand=(1, 0))
    codes = codes_for(paired)
    np.testing.assert_allclose(
        paired.predict(reverse_complement(codes)), paired.predict(codes)[:, ::-1, ::-1], rtol=1e-5, atol=1e-6
    )


def test_one_strand_alone_gives_something_else():
    one = model(both_strands=False)
    codes = codes_for(one)
    assert not np.allclose(one.predict(reverse_complement(codes)), one.predict(codes)[..., ::-1], rtol=1e-2)


def test_both_strands_are_the_mean_of_one_and_the_other():
    both, one = model(), model(both_strands=False)
    codes = codes_for(one)
    mean = (one.predict(codes) + one.predict(reverse_complement(codes))[..., ::-1]) / 2
    np.testing.assert_allclose(both.predict(codes), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("average", [False, True])
def test_strands_are_averaged_as_set_whatever_training_did(average):
    chosen = model(average_strands=average, both_strands=not average)
    codes = codes_for(chosen)
    same = model(both_strands=average)
    np.testing.assert_array_equal(chosen.predict(codes), same.predict(codes))


@pytest.mark.parametrize(("length_bp", "crop_bp"), [(1024, 256), (256, 64), (224, 32), (96, 0), (32, 0)])
def test_a_quarter_of_the_window_at_each_end_is_context(length_bp, crop_bp):
    cropped = model(length_bp=length_bp)
    assert (cropped.input_bp, cropped.crop_bp) == (length_bp, crop_bp)
    assert cropped.predict(codes_for(cropped)).shape == (6, 2, (length_bp - 2 * crop_bp) // 32)


def test_a_crop_that_was_set_is_the_context():
    assert model(crop_bp=96).predict(codes_for(model())).shape == (6, 2, 2)


def test_predictions_come_back_to_the_tracks_own_units():
    plain = model(both_strands=False)
    transformed = model(both_strands=False, transforms=((FittedStep("log1p"),), (FittedStep("scale", 4.0),)))
    codes = codes_for(plain)
    seen = plain.predict(codes) * 32
    predicted = transformed.predict(codes)
    np.testing.assert_allclose(predicted[:, 0], np.expm1(seen[:, 0]) / 32, rtol=1e-5)
    np.testing.assert_allclose(predicted[:, 1], seen[:, 1] / 4 / 32, rtol=1e-5)


def test_the_size_of_a_batch_does_not_matter(monkeypatch):
    both = model()
    codes = codes_for(both, n=7)
    whole = both.predict(codes)
    monkeypatch.setitem(sequence_network_model._BATCH_BASES, "cpu", 512)
    np.testing.assert_allclose(both.predict(codes), whole, rtol=1e-5, atol=1e-6)


def test_a_network_in_training_predicts_as_a_fitted_one():
    both = model()
    codes = codes_for(both)
    expected = both.predict(codes)
    both.network.train()
    np.testing.assert_array_equal(both.predict(codes), expected)


def test_a_saved_model_predicts_the_same_with_its_strands_and_transforms(tmp_path):
    saved = model(other_strand=(1, 0), transforms=((FittedStep("scale", 3.0), FittedStep("arcsinh")), ()))
    saved.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.facts() == saved.facts()
    codes = codes_for(saved)
    np.testing.assert_array_equal(loaded.predict(codes), saved.predict(codes))


def test_weights_of_another_network_are_refused(tmp_path):
    model().save(tmp_path)
    text = (tmp_path / "model.json").read_text().replace('"channels": 8', '"channels": 9')
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(
        DataError, match=r"model.safetensors: doesn't fit the network of model.json: (.|\n)*size mismatch"
    ):
        load_model(tmp_path)


@pytest.mark.parametrize(("outputs", "found"), [(torch.zeros(4, 8, 2), r"\(4, 8, 2\)"), ([0.0], "list")])
def test_outputs_of_another_shape_are_refused_with_what_is_wanted(outputs, found):
    with pytest.raises(FitError, match=rf"gave {found}; wanted is \(example, track, bin\) = \(4, 2, 8\)"):
        check_shape(outputs, wanted=(4, 2, 8))
