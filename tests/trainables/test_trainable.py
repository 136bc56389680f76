"""The contract of a family: every member of the union keeps it."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from genotune.columns import SEQUENCE, SIGNAL
from genotune.errors import DataError
from genotune.settings import build
from genotune.trainables import FAMILIES, FamilySettings, load_model
from genotune.trainables.trainable import DataPlan, FitPlan, Model, check_format, multiple_problems

SMALL = {
    "poisson_cnn": {
        "windows": {"length_bp": 256, "stride_bp": 128},
        "channels": 8,
        "n_blocks": 2,
        "batch_size": 16,
        "jitter_bp": 32,
        "dropout": 0.2,
    },
    "ridge": {"k": 3, "flank_bp": 24},
}
N_EPOCHS = 3


@pytest.fixture(params=sorted(FAMILIES))
def trainable(request):
    return build(FamilySettings, {"family": request.param, **SMALL[request.param]})


def fit(trainable, store, splits, *, seed=1, report=lambda progress: 0.5, resume=None, max_epochs=N_EPOCHS):
    plan = FitPlan(seed=seed, max_epochs=trainable.own_epochs or max_epochs)
    return trainable.fit(store, splits, report=report, plan=plan, resume=resume)


def some_codes(model, *, n=5, seed=3):
    return np.random.default_rng(seed).integers(0, 5, (n, model.input_bp)).astype(np.uint8)


def test_every_family_is_held_to_the_contract():
    assert set(SMALL) == set(FAMILIES)
    for name, kind in FAMILIES.items():
        assert kind.model_fields["family"].default == name
        build(kind, {"family": name})


def test_report_is_called_once_an_epoch_with_finite_metrics(trainable, store, splits):
    seen = []
    fit(trainable, store, splits, report=lambda progress: seen.append((progress.epoch, dict(progress.metrics))))
    assert [epoch for epoch, _ in seen] == list(range(1, (trainable.own_epochs or N_EPOCHS) + 1))
    for _, metrics in seen:
        assert math.isfinite(metrics["train_loss"])
        assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_a_prediction_is_one_value_per_track_and_inner_bin(trainable, make_store, splits):
    store = make_store([3000, 3000, 2000], tracks=("a", "b"))
    model = fit(trainable, store, splits)
    n_bins = (model.input_bp - 2 * model.crop_bp) // model.bin_bp
    predicted = model.predict(some_codes(model))
    assert predicted.shape == (5, 2, n_bins)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert (predicted >= 0).all()
    assert model.predict(some_codes(model)[:0]).shape == (0, 2, n_bins)
    assert model.tracks == ("a", "b")


def test_a_saved_model_predicts_what_it_did(trainable, store, splits, tmp_path):
    model = fit(trainable, store, splits)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert (loaded.tracks, loaded.bin_bp, loaded.input_bp, loaded.crop_bp) == (
        model.tracks,
        model.bin_bp,
        model.input_bp,
        model.crop_bp,
    )
    codes = some_codes(model)
    np.testing.assert_array_equal(loaded.predict(codes), model.predict(codes))
    assert json.loads((tmp_path / "model.json").read_text())["family"] == trainable.family
    loaded.to("cpu", n_threads=1)


def test_nothing_that_is_saved_is_a_pickle(trainable, store, splits, tmp_path):
    (tmp_path / "state").mkdir()

    def report(progress):
        progress.model.save(tmp_path)
        progress.save_state(tmp_path / "state", value=0.5)

    fit(trainable, store, splits, report=report)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert {path.suffix for path in written} == {".json", ".safetensors"}
    for path in written:
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_fit_is_the_uninterrupted_one_bit_for_bit(trainable, store, splits, tmp_path, epoch):
    epoch = min(epoch, trainable.own_epochs or N_EPOCHS)
    metrics = {}

    def report(progress):
        metrics[progress.epoch] = progress.metrics["train_loss"]
        if progress.epoch == epoch:
            progress.save_state(tmp_path, value=0.5)
        return 0.5

    whole = fit(trainable, store, splits, report=report)
    again = {}

    def report_again(progress):
        again[progress.epoch] = progress.metrics["train_loss"]
        return 0.5

    resumed = fit(trainable, store, splits, report=report_again, resume=tmp_path)
    assert again == {number: loss for number, loss in metrics.items() if number > epoch}
    codes = some_codes(whole)
    np.testing.assert_array_equal(resumed.predict(codes), whole.predict(codes))


def test_the_same_seed_gives_the_same_model(trainable, store, splits):
    first, second = (fit(trainable, store, splits, seed=4) for _ in range(2))
    codes = some_codes(first)
    np.testing.assert_array_equal(first.predict(codes), second.predict(codes))


def test_validation_during_the_fit_changes_nothing(trainable, store, splits):
    quiet = fit(trainable, store, splits)
    watched = fit(
        trainable, store, splits, report=lambda progress: float(progress.model.predict_contig(store, 2).sum())
    )
    codes = some_codes(quiet)
    np.testing.assert_array_equal(quiet.predict(codes), watched.predict(codes))


def test_what_report_raises_ends_the_fit(trainable, store, splits):
    def report(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(trainable, store, splits, report=report)


def test_excluded_bins_are_not_learned_from(trainable, make_store, splits):
    store, excluded = make_store([6000, 3000, 2000]), make_store([6000, 3000, 2000])
    store.signal[:, 40:90] = np.nan
    excluded.signal[:, 40:90] = np.nan
    excluded.sequence[excluded.signal.shape[1] * 16 - 10 :] = 4  # on the validation contig
    first, second = fit(trainable, store, splits), fit(trainable, excluded, splits)
    codes = some_codes(first)
    assert np.isfinite(first.predict(codes)).all()
    np.testing.assert_array_equal(first.predict(codes), second.predict(codes))


def test_a_store_that_can_not_be_written_is_enough(trainable, make_store, splits):
    store = make_store([3000, 3000, 2000])
    for array in (store.sequence, store.signal, store.offsets, store.lengths):
        array.setflags(write=False)
    fit(trainable, store, splits).predict_contig(store, 2)


def test_training_contigs_without_a_value_are_the_users_error(trainable, make_store, splits):
    store = make_store([3000, 3000, 2000])
    store.signal[:] = np.nan
    with pytest.raises(DataError, match="value"):
        fit(trainable, store, splits)


def test_a_missing_column_is_named(trainable):
    data = DataPlan(frozenset({SEQUENCE}), 16, ("cuts",), (9000,))
    [problem] = trainable.problems(data)
    assert problem.message == f"{trainable.family} needs the column 'signal', which this source doesn't give."
    assert trainable.problems(data._replace(columns=frozenset({SEQUENCE, SIGNAL}))) == []


def test_a_family_counts_its_examples(trainable):
    data = DataPlan(frozenset({SEQUENCE, SIGNAL}), 16, ("cuts",), (9000, 5003))
    assert trainable.n_examples(data) > 0


class BinMeans(Model):
    """Predicts the mean code of each bin: what it should give for a contig is known."""

    tracks = ("codes",)

    def __init__(self, *, bin_bp, n_bins, crop_bins):
        self.bin_bp, self.crop_bp = bin_bp, crop_bins * bin_bp
        self.input_bp = (n_bins + 2 * crop_bins) * bin_bp
        self.n_predicted = 0

    def predict(self, codes):
        inner = codes[:, self.crop_bp : self.input_bp - self.crop_bp]
        means = inner.reshape(len(codes), 1, -1, self.bin_bp).mean(axis=-1)
        self.n_predicted += means.size
        return means.astype(np.float32)

    def save(self, folder): ...

    @classmethod
    def load(cls, folder): ...


@pytest.mark.parametrize("bin_bp", [16, 32, 64])
@pytest.mark.parametrize(("n_bins", "crop_bins"), [(1, 0), (4, 2), (7, 3), (400, 10)])
@pytest.mark.parametrize("batch", [1, 3, 256])
def test_each_bin_of_a_contig_is_predicted_once_in_its_place(store, bin_bp, n_bins, crop_bins, batch):
    model = BinMeans(bin_bp=bin_bp, n_bins=n_bins, crop_bins=crop_bins)
    for contig in range(3):
        codes = store.contig_sequence(contig)
        padded = np.pad(codes, (0, -len(codes) % bin_bp), constant_values=4)
        expected = padded.reshape(1, -1, bin_bp).mean(axis=-1)
        model.n_predicted = 0
        predicted = model.predict_contig(store, contig, batch=batch)
        np.testing.assert_allclose(predicted, expected, rtol=1e-6)
        assert model.n_predicted < expected.size + n_bins


def test_beyond_the_ends_of_a_contig_lies_n(store):
    class Whole(BinMeans):
        def predict(self, codes):
            seen.extend(codes)
            return super().predict(codes)

    seen = []
    Whole(bin_bp=16, n_bins=4, crop_bins=2).predict_contig(store, 1)
    assert (seen[0][:32] == 4).all()
    assert (seen[-1][-32:] == 4).all()
    np.testing.assert_array_equal(seen[0][32:], store.contig_sequence(1)[:96])


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no model; a saved one has a model\.json"):
        load_model(tmp_path)


def test_an_unknown_family_is_named_with_those_there_are(tmp_path):
    (tmp_path / "model.json").write_text('{"family": "oracle"}')
    with pytest.raises(DataError, match=r"family 'oracle' is unknown here; this version knows poisson_cnn, ridge\."):
        load_model(tmp_path)


def test_a_format_of_another_version_is_refused(tmp_path):
    check_format(tmp_path, 1, known=1)
    with pytest.raises(DataError, match=r"format 2; this version of genotune reads format 1"):
        check_format(tmp_path, 2, known=1)


def test_a_width_that_does_not_go_into_another_comes_with_those_that_do():
    assert multiple_problems(("bin_bp",), 64, of=32, name="data.resolution_bp") == []
    [problem] = multiple_problems(("bin_bp",), 50, of=32, name="data.resolution_bp")
    assert problem.message == "found 50; must be a whole multiple of data.resolution_bp (32), e.g. 32 or 64."
    [problem] = multiple_problems(("bin_bp",), 5, of=32, name="data.resolution_bp")
    assert problem.message.endswith("e.g. 32.")


def test_settings_load_no_library_of_networks():
    code = "import sys, genotune.trainables; print({'torch', 'xgboost', 'ray', 'mlflow'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "set()\n"
