"""The contract of a family: every member of the union keeps it."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from genotune.columns import SEQUENCE
from genotune.errors import DataError
from genotune.settings import build
from genotune.store import GenotypeOutline, GenotypeStore, SequenceOutline, SequenceStore, Splits
from genotune.trainables import FAMILIES, build_trainable, load_model, settings_of, unreadable
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.model import SequenceModel, read_record
from genotune.trainables.trainable import FitError, FitPlan, multiple_problems
from genotype_builders import build_genotypes

TRACKS, GENOTYPES = SequenceStore.columns, GenotypeStore.columns
SMALL = {
    ("poisson_cnn", TRACKS): {
        "windows": {"length_bp": 256, "stride_bp": 128},
        "channels": 8,
        "n_blocks": 2,
        "batch_size": 16,
        "jitter_bp": 32,
        "dropout": 0.2,
    },
    ("torch_module", TRACKS): {
        "module": "nets/small.py:Small",
        "arguments": {"channels": 6},
        "windows": {"length_bp": 256, "stride_bp": 128},
        "batch_size": 16,
        "jitter_bp": 32,
    },
    ("ridge", TRACKS): {"k": 3, "flank_bp": 24},
    ("boosted_trees", TRACKS): {
        "k": 3,
        "flank_bp": 24,
        "rounds_per_epoch": 4,
        "max_depth": 3,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
    },
    ("ridge", GENOTYPES): {"n_variants": 30},
    ("elastic_net", GENOTYPES): {"n_variants": 30},
    ("genotype_cnn", GENOTYPES): {"n_variants": 30, "channels": 4, "batch_size": 32},
    ("covariates_only", GENOTYPES): {"penalty": 0.01},
    ("boosted_trees", GENOTYPES): {
        "n_variants": 30,
        "rounds_per_epoch": 4,
        "subsample": 0.7,
        "colsample_bytree": 0.5,
    },
}
REQUIRED = {"torch_module": {"module": "nets/small.py:Small"}}
CODE = {
    "nets/small.py": """
from torch import nn


class Small(nn.Sequential):
    def __init__(self, n_tracks, bin_bp, channels=4):
        layers = nn.Conv1d(4, channels, 9, padding="same"), nn.ReLU(), nn.Dropout(0.2), nn.MaxPool1d(bin_bp)
        super().__init__(*layers, nn.BatchNorm1d(channels), nn.Conv1d(channels, n_tracks, 1))
""",
    "nets/another.py": "of another draw of the same sweep",
}
N_EPOCHS = 3


def id_of(pair):
    family, columns = pair
    return f"{family} on {'tracks' if columns == TRACKS else 'genotypes'}"


@pytest.fixture(params=list(SMALL), ids=id_of)
def pair(request):
    """A family, and the columns of the data that it reads."""
    return request.param


@pytest.fixture
def trainable(pair):
    family, columns = pair
    return build_trainable(family, SMALL[pair], columns)


@pytest.fixture
def data(pair, store, splits):
    """A store that the family reads, and its splits."""
    if pair[1] == TRACKS:
        return store, splits
    return build_genotypes(150, 40, covariates=1, missing=0.02), Splits(np.arange(100), np.arange(100, 150))


@pytest.fixture(params=[pair for pair in SMALL if pair[1] == TRACKS], ids=id_of)
def track_trainable(request):
    return build_trainable(request.param[0], SMALL[request.param], TRACKS)


def fit(trainable, store, splits, *, seed=1, report=lambda progress: 0.5, resume=None, max_epochs=N_EPOCHS):
    plan = FitPlan(seed=seed, max_epochs=trainable.own_epochs or max_epochs, code=CODE)
    return trainable.fit(store, splits, report=report, plan=plan, resume=resume)


def some_codes(model, *, n=5, seed=3):
    return np.random.default_rng(seed).integers(0, 5, (n, model.input_bp)).astype(np.uint8)


def predict_some(model):
    """Predictions of inputs that the model never saw."""
    if isinstance(model, SequenceModel):
        return model.predict(some_codes(model))
    rng = np.random.default_rng(3)
    dosage = rng.integers(-1, 3, (5, len(model.variants.ids))).astype(np.int8)
    return model.predict(dosage, rng.normal(size=(5, len(model.covariate_names))).astype(np.float32))


def test_every_family_is_held_to_the_contract():
    kinds = {(name, columns) for name in FAMILIES for columns in (TRACKS, GENOTYPES) if settings_of(name, columns)}
    assert set(SMALL) == kinds
    assert len(kinds) == sum(len(classes) for classes in FAMILIES.values())
    for name, columns in kinds:
        kind = settings_of(name, columns)
        assert kind.model_fields["family"].default == name
        assert kind.needs <= columns
        assert kind.title
        build(kind, {"family": name, **REQUIRED.get(name, {})})


def test_a_family_that_can_not_read_the_data_names_the_column_and_those_that_can():
    assert unreadable("poisson_cnn", TRACKS) is None
    assert unreadable("ridge", GENOTYPES) is None
    message = unreadable("poisson_cnn", GENOTYPES)
    assert message.startswith("poisson_cnn needs the columns 'sequence', 'signal', which this source doesn't give.")
    assert message.endswith(
        "Families that can use it: boosted_trees, ridge, elastic_net, genotype_cnn, covariates_only."
    )
    assert "the column 'signal'," in unreadable("poisson_cnn", frozenset({SEQUENCE}))


def test_report_is_called_once_an_epoch_with_finite_metrics(trainable, data):
    seen = []
    fit(trainable, *data, report=lambda progress: seen.append((progress.epoch, dict(progress.metrics))))
    assert [epoch for epoch, _ in seen] == list(range(1, (trainable.own_epochs or N_EPOCHS) + 1))
    for _, metrics in seen:
        assert math.isfinite(metrics["train_loss"])
        assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_a_prediction_is_one_value_per_track_and_inner_bin(track_trainable, make_store, splits):
    store = make_store([3000, 3000, 2000], tracks=("a", "b"))
    model = fit(track_trainable, store, splits)
    n_bins = (model.input_bp - 2 * model.crop_bp) // model.bin_bp
    predicted = model.predict(some_codes(model))
    assert predicted.shape == (5, 2, n_bins)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert (predicted >= 0).all()
    assert model.predict(some_codes(model)[:0]).shape == (0, 2, n_bins)
    assert model.tracks == ("a", "b")


@pytest.mark.parametrize(("kind", "shape"), [("quantitative", ()), ("binary", ()), ("count", ()), ("multiclass", (3,))])
@pytest.mark.parametrize("pair", [pair for pair in SMALL if pair[1] == GENOTYPES], ids=id_of, indirect=True)
def test_a_prediction_of_a_trait_is_what_its_kind_asks_for(trainable, kind, shape):
    store = build_genotypes(150, 40, kind=kind)
    model = fit(trainable, store, Splits(np.arange(100), np.arange(100, 150)))
    predicted = model.predict_samples(store, np.arange(100, 150))
    assert predicted.shape == (50, *shape)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()
    assert (model.trait, model.kind, model.classes) == (store.trait, store.kind, store.classes)
    assert len(model.variants.ids) == trainable.model_dump().get("n_variants", 0)
    if kind in ("binary", "multiclass"):
        assert ((predicted > 0) & (predicted < 1)).all()
    if kind == "multiclass":
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    if kind == "count":
        assert (predicted >= 0).all()
    assert len(model.predict_samples(store, np.arange(0))) == 0


def test_a_saved_model_predicts_what_it_did(trainable, data, tmp_path):
    model = fit(trainable, *data)
    model.save(tmp_path)
    loaded = load_model(tmp_path, trust_code=True)
    assert type(loaded) is type(model)
    assert loaded.facts() == model.facts()
    np.testing.assert_array_equal(predict_some(loaded), predict_some(model))
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["family"] == trainable.family
    assert record["columns"] == sorted(model.columns)
    loaded.to("cpu", n_threads=1)


def test_nothing_that_is_saved_is_a_pickle(trainable, data, tmp_path):
    (tmp_path / "state").mkdir()

    def report(progress):
        progress.model.save(tmp_path)
        progress.save_state(tmp_path / "state", value=0.5)

    fit(trainable, *data, report=report)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert {path.suffix for path in written} <= {".json", ".safetensors", ".tsv", ".ubj", ".py"}
    for path in written:
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_fit_is_the_uninterrupted_one_bit_for_bit(trainable, data, tmp_path, epoch):
    epoch = min(epoch, trainable.own_epochs or N_EPOCHS)
    metrics = {}

    def report(progress):
        metrics[progress.epoch] = progress.metrics["train_loss"]
        if progress.epoch == epoch:
            progress.save_state(tmp_path, value=0.5)
        return 0.5

    whole = fit(trainable, *data, report=report)
    again = {}

    def report_again(progress):
        again[progress.epoch] = progress.metrics["train_loss"]
        return 0.5

    resumed = fit(trainable, *data, report=report_again, resume=tmp_path)
    assert again == {number: loss for number, loss in metrics.items() if number > epoch}
    np.testing.assert_array_equal(predict_some(resumed), predict_some(whole))


def saved_numbers(folder):
    """Numbers in the arrays of a saved model that are learned weights, by the names of their arrays."""
    from safetensors.numpy import load_file

    arrays = load_file(folder / "model.safetensors")
    counted = ("weight", "bias", "intercept", "fixed", "coefficients")
    return sum(values.size for name, values in arrays.items() if any(word in name for word in counted))


def test_the_parameters_are_the_numbers_that_a_saved_model_predicts_with(pair, trainable, data, tmp_path):
    model = fit(trainable, *data)
    model.save(tmp_path)
    again = load_model(tmp_path, trust_code=True)
    assert model.n_parameters == again.n_parameters
    if pair[0] == "boosted_trees":
        table = model.booster.trees_to_dataframe()
        assert model.n_parameters == len(table) > N_EPOCHS * 4
    else:
        assert model.n_parameters == saved_numbers(tmp_path) > 0


def test_the_same_seed_gives_the_same_model(trainable, data):
    first, second = (fit(trainable, *data, seed=4) for _ in range(2))
    np.testing.assert_array_equal(predict_some(first), predict_some(second))


def test_validation_during_the_fit_changes_nothing(trainable, data):
    quiet = fit(trainable, *data)
    watched = fit(trainable, *data, report=lambda progress: float(predict_some(progress.model).sum()))
    np.testing.assert_array_equal(predict_some(quiet), predict_some(watched))


def test_what_report_raises_ends_the_fit(trainable, data):
    def report(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(trainable, *data, report=report)


def test_excluded_bins_are_not_learned_from(track_trainable, make_store, splits):
    store, excluded = make_store([6000, 3000, 2000]), make_store([6000, 3000, 2000])
    store.signal[:, 40:90] = np.nan
    excluded.signal[:, 40:90] = np.nan
    excluded.sequence[excluded.signal.shape[1] * 16 - 10 :] = 4  # on the validation contig
    first, second = fit(track_trainable, store, splits), fit(track_trainable, excluded, splits)
    codes = some_codes(first)
    assert np.isfinite(first.predict(codes)).all()
    np.testing.assert_array_equal(first.predict(codes), second.predict(codes))


def test_samples_that_do_not_train_are_not_learned_from():
    """Whatever the trait of the validation samples says, the model is the same."""
    for pair in (pair for pair in SMALL if pair[1] == GENOTYPES):
        trainable = build_trainable(pair[0], SMALL[pair], GENOTYPES)
        models = []
        for shift in (0.0, 100.0):
            store = build_genotypes(150, 40)
            store.phenotype[100:] += shift
            models.append(fit(trainable, store, Splits(np.arange(100), np.arange(100, 150))))
        np.testing.assert_array_equal(predict_some(models[0]), predict_some(models[1]))


def test_a_store_that_can_not_be_written_is_enough(trainable, pair, make_store, splits):
    if pair[1] == TRACKS:
        store = make_store([3000, 3000, 2000])
        arrays = (store.sequence, store.signal, store.offsets, store.lengths)
    else:
        store = build_genotypes(150, 40)
        splits = Splits(np.arange(100), np.arange(100, 150))
        arrays = (store.dosage, store.phenotype, store.covariates, store.samples, *store.variants)
    for array in arrays:
        array.setflags(write=False)
    model = fit(trainable, store, splits)
    predicted = model.predict_contig(store, 2) if pair[1] == TRACKS else model.predict_samples(store, splits.validation)
    assert np.isfinite(predicted).all()


def test_training_contigs_without_a_value_are_the_users_error(track_trainable, make_store, splits):
    store = make_store([3000, 3000, 2000])
    store.signal[:] = np.nan
    with pytest.raises(FitError, match="value"):
        fit(track_trainable, store, splits)


def test_a_family_counts_its_examples_and_finds_no_fault_in_data_that_fit(trainable, pair):
    outline = (
        SequenceOutline(16, ("cuts",), (9000, 5003))
        if pair[1] == TRACKS
        else GenotypeOutline(100, 40, "quantitative", 0, 1)
    )
    assert trainable.problems(outline) == []
    assert trainable.n_examples(outline) > 0


def test_more_variants_than_are_kept_are_a_fault_with_the_number_that_there_is():
    for pair in (pair for pair in SMALL if pair[1] == GENOTYPES and "n_variants" in SMALL[pair]):
        trainable = build_trainable(pair[0], SMALL[pair], GENOTYPES)
        [problem] = trainable.problems(GenotypeOutline(100, 20, "quantitative", 0, 1))
        assert problem.path == ("n_variants",)
        assert problem.message == "found 30; at most 20 variants are kept (data.keep_variants). Use fewer."


class BinMeans(SequenceModel):
    """Predicts the mean code of each bin: what it should give for a contig is known."""

    tracks = ("codes",)

    def __init__(self, *, bin_bp, n_bins, crop_bins):
        self.bin_bp, self.crop_bp = bin_bp, crop_bins * bin_bp
        self.input_bp = (n_bins + 2 * crop_bins) * bin_bp
        self.n_predicted = 0

    n_parameters = 0

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
    (tmp_path / "model.json").write_text('{"family": "oracle", "columns": []}')
    with pytest.raises(
        DataError,
        match=r"family 'oracle' is unknown here; this version knows poisson_cnn, .*, boosted_trees, ridge, .*only\.",
    ):
        load_model(tmp_path)


def test_a_format_of_another_version_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"format": 2, "settings": {"family": "ridge", "k": 3}}')
    assert read_record(tmp_path, KmerRidge, file_format=2)[1].k == 3
    with pytest.raises(DataError, match=r"model\.json: format 2; this version of genotune reads format 1"):
        read_record(tmp_path, KmerRidge, file_format=1)


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
