"""Importance: what each family says of a feature, under the labels of the variant that it is about."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.store import NO_POSITION, Variants
from genotune.trainables import build_trainable, load_model
from genotune.trainables.importance import Importance, importance_of_effects
from genotune.trainables.prepared import fit_prepared
from genotune.trainables.prepared_model import PreparedModel
from genotune.trainables.trainable import FitPlan
from genotype_builders import SITES, build_genotypes, split_samples, with_tables

TREES = {"rounds_per_epoch": 10, "max_depth": 2}
LINEAR_TREES = {"booster": "gblinear", "rounds_per_epoch": 40, "learning_rate": 0.5}
FAMILIES = {
    "ridge": ("ridge", {}),
    "elastic_net": ("elastic_net", {"penalty": 0.1}),
    "boosted_trees": ("boosted_trees", TREES),
    "dart": ("boosted_trees", {**TREES, "booster": "dart"}),
    "gblinear": ("boosted_trees", LINEAR_TREES),
}
KINDS = ("quantitative", "binary", "multiclass", "count")
LABELS = ("contig", "position", "counted", "other", "frequency")


def labelled(store):
    """The same store, no two variants of which share a position, a frequency, or the pair of alleles."""
    n = store.n_variants
    variants = Variants(
        ids=np.array([f"rs{100 + place}" for place in range(n)]),
        contigs=np.array([str(1 + place % 12) for place in range(n)]),
        starts=1000 + 17 * np.arange(n, dtype=np.int64),
        counted=np.array(["ACGT"[place % 4] + "T" * (place // 4) for place in range(n)]),
        other=np.array(["CGTA"[place % 4] for place in range(n)]),
        frequency=np.linspace(0.1, 0.9, n, dtype=np.float32),
    )
    return replace(store, variants=variants)


def reordered(store, order):
    return replace(store, dosage=store.dosage[:, order].copy(), variants=store.variants.take(order))


def fit(name, store, **params):
    family, own = FAMILIES.get(name, (name, {}))
    trainable = build_trainable(family, {**own, **params}, store.columns)
    plan = FitPlan(seed=3, max_epochs=trainable.own_epochs or 2)
    return fit_prepared(trainable, store, split_samples(store), report=lambda _: None, plan=plan)


def by_id(model):
    return {row["id"]: row for row in model.importance().rows()}


def linked(kind, predicted):
    """Predictions on the scale on which effects add up."""
    predicted = predicted.astype(np.float64)
    if kind == "binary":
        return np.log(predicted / (1 - predicted))
    return np.log(predicted) if kind == "count" else predicted


@pytest.mark.parametrize("kind", ["quantitative", "binary", "count"])
@pytest.mark.parametrize("name", ["ridge", "elastic_net", "gblinear", "covariates_only"])
def test_an_effect_is_what_one_copy_or_one_unit_more_adds_to_a_prediction(name, kind):
    store = labelled(build_genotypes(400, 12, kind=kind, covariates=2))
    store = replace(store, covariates=store.covariates * np.array([1, 40], dtype=np.float32) + 7)
    model = fit(name, store)
    dosage = np.ones((1, len(model.variants.ids)), dtype=np.int8)
    covariates = np.full((1, 2), 7, dtype=np.float32)
    on_link = (lambda values: values) if name == "ridge" else (lambda values: linked(kind, values))
    rows = by_id(model)
    names = {"quantitative": "effect", "binary": "effect_log_odds", "count": "effect_log_rate"}
    measure = names[kind] if name != "ridge" else "effect_probability" if kind == "binary" else "effect"
    assert all(row[measure] != 0 for row in rows.values())
    base = on_link(model.predict(dosage, covariates))[0]
    found, expected = [], []
    for place, variant in enumerate(model.variants.ids):
        more = dosage.copy()
        more[0, place] += 1
        found.append(rows[variant][measure] if variant in rows else 0.0)
        expected.append(on_link(model.predict(more, covariates))[0] - base)
    for place, covariate in enumerate(store.covariate_names):
        more = covariates.copy()
        more[0, place] += 1
        assert rows[covariate]["kind"] == "covariate"
        found.append(rows[covariate][measure])
        expected.append(on_link(model.predict(dosage, more))[0] - base)
    # Predictions are float32: of a trait of about 170 the sixth digit is the last.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4 if kind == "quantitative" else 1e-5)


@pytest.mark.parametrize("name", ["gblinear", "covariates_only"])
def test_of_several_classes_effects_are_of_the_odds_of_one_against_another(name):
    store = labelled(build_genotypes(400, 12, kind="multiclass", covariates=1))
    model = fit(name, store)
    dosage = np.ones((1, len(model.variants.ids)), dtype=np.int8)
    row = by_id(model)["PC1"]
    effects = np.array([row[f"effect_linear:{name}"] for name in store.classes])
    before, after = (
        np.log(model.predict(dosage, np.full((1, 1), value, dtype=np.float32))[0].astype(float)) for value in (0, 1)
    )
    np.testing.assert_allclose(np.diff(after - before), np.diff(effects), rtol=1e-4, atol=1e-5)


def test_of_several_classes_the_elastic_net_sets_each_against_the_rest():
    store = labelled(build_genotypes(400, 12, kind="multiclass", covariates=1))
    model = fit("elastic_net", store)
    rows = by_id(model)
    for output, name in enumerate(store.classes):
        for place, weights in zip(model.terms.places, model.terms.weights, strict=True):
            assert rows[store.variants.ids[place]][f"effect_log_odds:{name}"] == weights[output]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["boosted_trees", "dart"])
def test_gain_and_cover_are_sums_over_the_splits_of_the_trees(name, kind):
    store = labelled(build_genotypes(400, 12, kind=kind, covariates=1))
    model = fit(name, store)
    splits = model.booster.trees_to_dataframe().query("Feature != 'Leaf'")
    labels = [*store.variants.ids, *store.covariate_names]
    rows = by_id(model)
    assert len(rows) == splits["Feature"].nunique() > 4
    for feature, of_one in splits.groupby("Feature"):
        row = rows[labels[int(feature[1:])]]
        assert row["times_used"] == len(of_one)
        assert row["gain_in_all"] == pytest.approx(of_one["Gain"].sum(), rel=1e-4)
        assert row["gain_per_split"] == pytest.approx(of_one["Gain"].mean(), rel=1e-4)
        assert row["cover_per_split"] == pytest.approx(of_one["Cover"].mean(), rel=1e-4)
    gains = [row["gain_in_all"] for row in rows.values() if row["kind"] == "variant"]
    assert gains == sorted(gains, reverse=True)


@pytest.mark.parametrize("prepared", [None, {"max_p": 0.6, "impute": "mean"}, {"components": 2, "clump": {"r2": 0.5}}])
@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**20))
def test_however_the_store_is_ordered_each_variant_keeps_its_labels_and_its_importance(name, prepared, seed):
    store = labelled(build_genotypes(300, 24, covariates=1, missing=0.02))
    other = reordered(store, np.random.default_rng(seed).permutation(24))
    params = {} if prepared is None else {"prepare": prepared}
    model, shuffled = fit(name, store, **params), fit(name, other, **params)
    place = {variant: column for column, variant in enumerate(store.variants.ids)}
    expected, found = by_id(model), by_id(shuffled)
    strongest = next(iter(found))
    assert strongest in {"rs100", "rs101"}, "the two largest effects of four"
    assert {*list(found)[:4]} == {"rs100", "rs101", "rs102", "rs103"}
    for variant, row in found.items():
        measures = [key for key in row if key not in {"kind", "id", *LABELS}]
        # Of columns in another order sums differ in their last digits; a path ends where it moves by no more.
        assert [row[key] for key in measures] == pytest.approx(
            [expected[variant][key] for key in measures], rel=2e-2, abs=1e-2
        )
        if row["kind"] == "variant":
            column = place[variant]
            assert [row[key] for key in LABELS] == [
                str(1 + column % 12),
                1001 + 17 * column,
                "ACGT"[column % 4] + "T" * (column // 4),
                "CGTA"[column % 4],
                store.variants.frequency[column],
            ]
    assert {row["kind"] for row in found.values()} <= {"variant", "covariate", "component"}
    assert found["PC1"]["kind"] == "covariate"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_of_every_kind_of_trait_the_planted_variants_come_first(name, kind):
    store = labelled(build_genotypes(800, 24, kind=kind, missing=0.02))
    rows = list(fit(name, store).importance().rows())
    assert {row["id"] for row in rows[:4]} == {"rs100", "rs101", "rs102", "rs103"}


@pytest.mark.parametrize("name", [*FAMILIES, "covariates_only"])
def test_a_saved_model_says_the_same(name, tmp_path):
    store = labelled(build_genotypes(200, 12, kind="multiclass", covariates=2))
    model = fit(name, store)
    model.save(tmp_path)
    assert load_model(tmp_path).importance().table_text() == model.importance().table_text()


def test_variants_without_a_weight_are_not_told():
    store = labelled(build_genotypes(300, 24))
    store.dosage[:, 9] = 1
    assert "rs109" not in by_id(fit("ridge", store)), "it is the same in all samples"
    model = fit("elastic_net", store, penalty=0.5)
    assert len(by_id(model)) == len(model.terms.places) < 10


def test_a_network_says_nothing_of_single_variants():
    assert fit("genotype_cnn", build_genotypes(60, 12), channels=4, n_blocks=1).importance() is None
    model = fit("genotype_cnn", build_genotypes(60, 12), channels=4, n_blocks=1, prepare={"min_maf": 0.01})
    assert isinstance(model, PreparedModel)
    assert model.importance() is None


def test_components_are_told_as_such_whatever_a_covariate_is_called():
    store = labelled(build_genotypes(300, 24, covariates=2))
    store = replace(store, covariate_names=("age", "component 1"))
    model = fit("ridge", store, prepare={"components": 2}, n_variants=5)
    rows = list(model.importance().rows())
    kinds = [(row["kind"], row["id"]) for row in rows]
    assert [kind for kind, _ in kinds] == ["variant"] * 5 + ["component"] * 2 + ["covariate"] * 2
    assert sorted(kinds[5:]) == [
        ("component", "component 1"),
        ("component", "component 2"),
        ("covariate", "age"),
        ("covariate", "component 1"),
    ]
    assert [row["id"] for row in rows[:5]] != [*model.inner.variants.ids], "sorted by size, not as they were ranked"
    assert all(row[key] is None for row in rows[5:] for key in LABELS)


@pytest.mark.parametrize(("name", "measures"), [("ridge", 1), ("boosted_trees", 5)])
def test_covariates_that_were_taken_out_of_the_trait_are_told_with_their_regression(name, measures):
    store = labelled(build_genotypes(300, 24, covariates=2))
    model = fit(name, store, prepare={"adjust": "residuals", "components": 1}, n_variants=6)
    train = split_samples(store).train
    found = model.importance()
    assert len(found.measures) == measures
    rows = {row["id"]: row for row in found.rows()}
    covariates = model.recipe.covariates(
        store.dosage[:, store.variants.places_of(model.variants)], store.covariates
    ).astype(float)
    effects = np.linalg.lstsq(np.column_stack([np.ones(300), covariates])[train], store.phenotype[train], rcond=None)[0]
    assert [rows[name]["effect"] for name in ("PC1", "PC2", "component 1")] == pytest.approx(list(effects[1:]))
    assert [rows[name]["kind"] for name in ("PC1", "component 1")] == ["covariate", "component"]
    if name == "boosted_trees":
        assert rows["PC1"]["gain_in_all"] is None
        assert rows["rs100"]["effect"] is None
        assert rows["rs100"]["gain_in_all"] > 0


def table():
    variants = Variants(
        ids=np.array(["a", "b", "c", "d", "e", "f"]),
        contigs=np.array(["10", "2", "2", "0", "X", "2"]),
        starts=np.array([5, 70, 9, NO_POSITION, 1, 8]),
        counted=np.array(["A", "C", "G", "T", "AT", "A"]),
        other=np.array(["G", "A", "A", "A", "A", "C"]),
        frequency=np.array([0.5, 0.25, 0.125, np.nan, 0.5, 0.5], dtype=np.float32),
    )
    return importance_of_effects(
        variants,
        ("age", "sex", "one"),
        of_variants=np.array([[1.0], [-1.0], [1.0], [1.0], [-2.5], [0.0]]),
        of_covariates=np.array([[0.1], [-30.0], [7.0]]),
        measure="effect",
    )._replace(n_components=1)


def test_the_table_by_hand():
    assert table().table_text() == (
        "kind\tid\tcontig\tposition\tcounted\tother\tfrequency\teffect\n"
        "variant\te\tX\t2\tAT\tA\t0.5\t-2.5\n"
        "variant\tc\t2\t10\tG\tA\t0.125\t1\n"
        "variant\tb\t2\t71\tC\tA\t0.25\t-1\n"
        "variant\ta\t10\t6\tA\tG\t0.5\t1\n"
        "variant\td\t0\t\tT\tA\t\t1\n"
        "component\tone\t\t\t\t\t\t7\n"
        "covariate\tsex\t\t\t\t\t\t-30\n"
        "covariate\tage\t\t\t\t\t\t0.1\n"
    )


def test_of_a_model_that_uses_nothing_there_is_only_the_head():
    found = importance_of_effects(
        build_genotypes(10, 3).variants,
        (),
        of_variants=np.zeros((3, 2)),
        of_covariates=np.empty((0, 2)),
        measure="effect_log_odds",
        classes=("no", "yes"),
    )
    assert isinstance(found, Importance)
    assert list(found.rows()) == []
    assert found.table_text().endswith("\tfrequency\teffect_log_odds:no\teffect_log_odds:yes\n")


@pytest.mark.parametrize("prepare", [None, {"components": 2}, {"adjust": "residuals"}], ids=str)
@pytest.mark.parametrize("name", ["ridge", "elastic_net", "boosted_trees"])
def test_columns_of_further_tables_stand_after_the_variants_under_their_own_names(name, prepare):
    store = with_tables(build_genotypes(300, 20, covariates=2), n_columns=6)
    store.features[:, :5] *= 1000
    rows = list(fit(name, store, prepare=prepare).importance().rows())
    kinds = [row["kind"] for row in rows]
    order = ["variant", "feature", "component", "covariate"]
    assert kinds == sorted(kinds, key=order.index)
    of_tables = [row["id"] for row in rows if row["kind"] == "feature"]
    assert of_tables[0] == "expression:G0", "it goes with the trait, whatever its unit"
    assert {*of_tables} <= {*(f"expression:G{i}" for i in range(6)), *(f"clinical:site={site}" for site in SITES)}
    assert {row["id"] for row in rows if row["kind"] == "covariate"} <= {"PC1", "PC2"}


def test_the_effect_of_a_column_is_that_of_one_unit_in_the_table():
    store = with_tables(build_genotypes(300, 20), missing=0.0)
    thousandfold = replace(store, features=store.features * np.array([1000, 1, 1, 1, 1, 1], dtype=np.float32))
    once, again = (by_id(fit("ridge", each)) for each in (store, thousandfold))
    model = fit("ridge", store)
    moved = store.features.copy()
    moved[:, 0] += 1
    change = model.predict_samples(replace(store, features=moved), np.arange(50)) - model.predict_samples(
        store, np.arange(50)
    )
    effect = once["expression:G0"]["effect"]
    np.testing.assert_allclose(change, effect, rtol=1e-3)
    assert again["expression:G0"]["effect"] == pytest.approx(effect / 1000, rel=1e-4)
    assert again["expression:G1"]["effect"] == pytest.approx(once["expression:G1"]["effect"], rel=1e-4)
