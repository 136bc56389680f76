"""What a winner on genotypes tells beside its scores: importance, calibration, and predictions where a person asks.

The first two hold no sample's data and go into the record too. Predictions name samples: they stay in the sweep's
folder. They are of samples that the predicting model had not learned from: validation by the model that was chosen on
it, test by the winner as it is registered.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.calibration import reliability
from genotune.evaluation import load_validated, load_winner, winner_folder
from genotune.genome.fold import SplitName
from genotune.journal import Journal
from genotune.plan import SweepPlan
from genotune.store import FloatArray, GenotypeStore, IntArray, Store, TextArray, TraitsStore, Values
from genotune.trainables.importance import IMPORTANCE_FILE, Importance, table_of_traits
from genotune.trainables.model import GenotypeModel, Model

CALIBRATION_FILE: Final = "calibration.tsv"
PREDICTIONS_FILE: Final = "predictions.tsv"

_N_TOP: Final = 5
"""Features that a person is told at the end of a sweep."""


class HeldOut(NamedTuple):
    """What was predicted of samples that the model had not learned from, of one trait.

    Attributes:
        trait: its name.
        classes: of a binary or multiclass trait.
        samples: (sample, 2) family and individual ID.
        observed: (sample,) the trait; of classes, their index.
        predicted: (sample,), or (sample, class); see `GenotypeModel.predict`.
    """

    split: SplitName
    trait: str
    classes: tuple[str, ...]
    samples: TextArray
    observed: Values
    predicted: FloatArray


def write_winner_tables(plan: SweepPlan, journal: Journal, *, store: Store, final: Store) -> None:
    """Write the tables of a winner on genotypes to the sweep's folder, and say so in the journal; else do nothing.

    importance.tsv lies beside the files of the model too, so that it travels with it.

    Args:
        plan: of the sweep.
        journal: of a sweep that has a winner.
        store: that trials were fitted on.
        final: that the winner was fitted on at last.
    """
    if not isinstance(store, GenotypeStore | TraitsStore):
        return
    assert isinstance(final, GenotypeStore | TraitsStore)
    state, folder = journal.state, journal.path.parent
    assert state.winner is not None
    winner = _on_genotypes(load_winner(state, folder))
    texts, importances = {}, winner.importances()
    if importances:
        texts[IMPORTANCE_FILE] = (
            table_of_traits(importances) if winner.several else importances[winner.trait].table_text()
        )
        (winner_folder(state, folder) / IMPORTANCE_FILE).write_text(texts[IMPORTANCE_FILE])
    held_out: list[HeldOut] = []
    if not plan.trial_folds:  # on folds no model was kept that hasn't learned from all of validation
        validated = _on_genotypes(load_validated(state, folder))
        held_out += _predict(validated, store, plan.fold.validation, split="validation")
    held_out += _predict(winner, final, plan.fold.test, split="test")
    if winner.kind == "binary":
        texts[CALIBRATION_FILE] = calibration_text(held_out)
    for name, text in texts.items():
        (folder / name).write_text(text)
    if plan.spec.settings.evaluation.predictions:
        write_predictions(folder / PREDICTIONS_FILE, held_out)
    told = {
        "trial": state.winner["trial"],
        "files": list(texts),
        "top": _top(winner, importances) if importances else None,
    }
    if told != state.tables:
        journal.append("tables", **told)


def _top(winner: GenotypeModel, importances: Mapping[str, Importance]) -> list[dict[str, Any]]:
    """The first rows of each trait; of several each says of which."""
    if not winner.several:
        return top_features(importances[winner.trait])
    return [{"trait": trait, **row} for trait, one in importances.items() for row in top_features(one)]


def top_features(importance: Importance) -> list[dict[str, Any]]:
    """The first rows, as plain values, all of one kind: variants unless the model uses none."""
    rows = [row for row, _ in zip(importance.rows(), range(_N_TOP), strict=False)]
    return list(takewhile(lambda row: row["kind"] == rows[0]["kind"], rows))


def calibration_text(held_out: Iterable[HeldOut]) -> str:
    """The reliability of binary traits as a table: split, from, to, n, predicted, observed; empty bins without both.

    predicted is the mean probability of the second class in the bin, observed its share. Of several traits a column
    `trait` comes first.
    """
    held_out = list(held_out)
    is_one = _is_one_trait(held_out)
    header = ("split", "from", "to", "n", "predicted", "observed")
    lines: list[tuple[object, ...]] = [header if is_one else ("trait", *header)]
    for one in held_out:
        place = (one.split,) if is_one else (one.trait, one.split)
        table = reliability(one.observed, one.predicted)
        bins = zip(table.edges[:-1], table.edges[1:], table.n, table.predicted, table.observed, strict=True)
        for first, last, n, predicted, observed in bins:
            means = (f"{predicted:.7g}", f"{observed:.7g}") if n else ("", "")
            lines.append((*place, f"{first:g}", f"{last:g}", n, *means))
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def write_predictions(path: Path, held_out: Sequence[HeldOut]) -> None:
    """Write a table: FID, IID, split, observed, predicted; of classes also the probability of each.

    Observed and predicted are names of classes where there are classes, the predicted one that with the highest
    probability. Of several traits a column `trait` comes after the split, and each has rows of its own.

    Args:
        path: the file.
        held_out: what was predicted.
    """
    content, is_one = io.StringIO(), _is_one_trait(held_out)
    writer = csv.writer(content, delimiter="\t", lineterminator="\n")
    labels = list(dict.fromkeys(label for one in held_out for label in one.classes))
    of_trait = () if is_one else ("trait",)
    header = ("FID", "IID", "split", *of_trait, "observed", "predicted", *(f"predicted={label}" for label in labels))
    writer.writerow(header)
    for one in held_out:
        place = (one.split,) if is_one else (one.split, one.trait)
        rows = zip(one.samples.tolist(), one.observed.tolist(), _by_class(one.predicted, one.classes), strict=True)
        for sample, observed, predicted in rows:
            if one.classes:
                chances = dict(zip(one.classes, map(_digits, predicted), strict=True))
                told = one.classes[int(observed)], one.classes[int(np.argmax(predicted))]
                writer.writerow((*sample, *place, *told, *(chances.get(label, "") for label in labels)))
            else:
                writer.writerow((*sample, *place, f"{observed:.10g}", _digits(predicted[0])))
    path.write_text(content.getvalue())


def _is_one_trait(held_out: Iterable[HeldOut]) -> bool:
    return len({one.trait for one in held_out}) == 1


def _by_class(predicted: FloatArray, classes: Sequence[str]) -> list[list[float]]:
    """(sample, class) probabilities; (sample, 1) values of a trait without classes."""
    values = predicted.reshape(len(predicted), -1).astype(np.float64)
    is_second = len(classes) == 2 and values.shape[1] == 1
    rows: list[list[float]] = (np.concatenate([1 - values, values], axis=1) if is_second else values).tolist()
    return rows


def _digits(value: float) -> str:
    return f"{value:.7g}"


def _predict(
    model: GenotypeModel, store: GenotypeStore | TraitsStore, samples: IntArray, *, split: SplitName
) -> Iterator[HeldOut]:
    """What the model says of each trait, of the samples that have it."""
    predictions = model.by_trait(model.predict_samples(store, samples))
    each = store.each if isinstance(store, TraitsStore) else (store,)
    for one, predicted in zip(each, predictions, strict=True):
        is_known = ~np.isnan(one.phenotype[samples])
        some = samples[is_known]
        yield HeldOut(split, one.trait, one.classes, one.samples[some], one.phenotype[some], predicted[is_known])


def _on_genotypes(model: Model) -> GenotypeModel:
    assert isinstance(model, GenotypeModel), type(model)
    return model
