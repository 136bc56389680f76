"""The winner as a registered model: found by its alias, loaded without Ray, predicting what the sweep's model does."""

import json
import pickletools
import subprocess
import sys

import numpy as np
import pytest
import yaml

from genotune.errors import SweepError
from genotune.genome.sequence import encode
from genotune.tracking import register_winner
from genotune.trainables import load_model
from genotune.trainables.kmer_ridge import KmerRidge
from genotune.trainables.kmer_ridge_model import KmerRidgeModel, LinearOutputs
from genotune.trainables.kmers import canonical_kmers

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)  # MLflow's own models

LOAD = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
signal = model.predict(pd.DataFrame({"sequence": json.loads(sys.argv[3])}))
print(json.dumps({"signal": signal.tolist(), "dtype": str(signal.dtype), "ray": "ray" in sys.modules}))
"""


def ridge_model(seed=0):
    rng = np.random.default_rng(seed)
    settings = KmerRidge(k=2, bin_bp=32, flank_bp=32)
    n_features = canonical_kmers(2).n_features
    return KmerRidgeModel(
        settings,
        rng.random((2, n_features, 2)),
        rng.random(2),
        outputs=LinearOutputs(("atac", "h3k4me3"), "signal", 32, is_log=True, not_negative=(True, True)),
    )


def saved(model, folder):
    folder.mkdir(parents=True)
    model.save(folder)
    return folder


@pytest.fixture
def register(sweep, mlflow_store, deliver, tmp_path):
    """Registers a model as the winner of a sweep whose trial 0 it came from."""
    sweep.begin()
    sweep.run_trial(0)
    run_id = deliver(sweep).trial_run_id(0)

    def run(model, folder, *, sweep_id="yeast-240101-abcdef", name="yeast"):
        return register_winner(
            tracking_uri=mlflow_store.uri,
            run_id=run_id,
            model_folder=folder,
            name=name,
            model=model,
            sweep_id=sweep_id,
        )

    return run


def test_a_registered_winner_loads_in_a_bare_process_and_predicts_the_same(register, mlflow_store, tmp_path):
    model = ridge_model()
    folder = saved(model, tmp_path / "model")
    registered = register(model, folder)
    assert registered.uri == "models:/yeast@best"
    rng = np.random.default_rng(1)
    sequences = ["".join(rng.choice(list("ACGTNacgt"), model.input_bp)) for _ in range(3)]
    arguments = [mlflow_store.uri, registered.uri, json.dumps(sequences)]
    result = subprocess.run(
        [sys.executable, "-c", LOAD, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told = json.loads(result.stdout.splitlines()[-1])
    assert (told["ray"], told["dtype"]) == (False, "float32")
    expected = load_model(folder).predict(np.stack([encode(sequence.encode()) for sequence in sequences]))
    np.testing.assert_allclose(told["signal"], expected, rtol=1e-6)


def test_a_registered_winner_has_a_signature_an_example_and_no_pickle(register, mlflow_store, tmp_path):
    model = ridge_model()
    registered = register(model, saved(model, tmp_path / "model"))
    (logged,) = (mlflow_store.artifacts / "models").iterdir()
    files = [path for path in logged.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {
        "MLmodel",
        "winner_model.py",
        "model.safetensors",
        "model.json",
        "input_example.json",
        "requirements.txt",
    } <= names
    for path in files:
        assert path.suffix in {"", ".py", ".json", ".yaml", ".txt", ".safetensors"}, path
        assert not is_pickle(path.read_bytes()), path
    version = mlflow_store.client.get_model_version_by_alias("yeast", "best")
    assert (str(version.version), version.run_id) == (registered.version, registered.run_id)
    assert version.tags["genotune.sweep_id"] == "yeast-240101-abcdef"
    run = mlflow_store.client.get_run(registered.run_id)
    found = mlflow_store.client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert (str(found.status), found.params["input_bp"], found.params["tracks"]) == (
        "READY",
        "2112",
        '["atac", "h3k4me3"]',
    )
    card = yaml.safe_load((logged / "artifacts" / "MLmodel").read_text())
    assert json.loads(card["signature"]["inputs"]) == [{"type": "string", "name": "sequence", "required": True}]
    assert json.loads(card["signature"]["outputs"])[0]["tensor-spec"] == {"dtype": "float32", "shape": [-1, 2, 64]}
    assert json.loads(found.tags["mlflow.modelVersions"]) == [{"name": "yeast", "version": 1}]


def is_pickle(content):
    """Whether pickle could read these bytes to a STOP."""
    try:
        for _ in pickletools.genops(content):
            pass
    except (ValueError, IndexError, UnicodeDecodeError):
        return content[:2] in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"}
    return True


def test_what_is_pickled_would_be_noticed():
    import pickle

    assert is_pickle(pickle.dumps({"a": 1}))
    assert not is_pickle(b'{"a": 1}')


def test_the_same_winner_is_registered_once(register, mlflow_store, tmp_path):
    model = ridge_model()
    folder = saved(model, tmp_path / "model")
    assert register(model, folder) == register(model, folder)
    assert len(mlflow_store.client.search_model_versions("name = 'yeast'")) == 1
    assert len(list((mlflow_store.artifacts / "models").iterdir())) == 1


def test_a_model_that_was_logged_before_its_registration_failed_is_found_again(register, mlflow_store, tmp_path):
    model = ridge_model()
    folder = saved(model, tmp_path / "model")
    with pytest.raises(SweepError, match=r"the winner is not registered\. MLflow .* doesn't take what it is told"):
        register(model, folder, name="not/a/name")
    client, (run,) = mlflow_store.client, [run for run in mlflow_store.runs if "genotune.trial" in run.data.tags]
    (logged,) = client.search_logged_models([run.info.experiment_id])
    half = client.create_logged_model(run.info.experiment_id, "winner", source_run_id=run.info.run_id, tags=logged.tags)
    register(model, folder)
    (kept,) = client.search_logged_models([run.info.experiment_id])
    assert half.model_id != kept.model_id == logged.model_id
    assert client.get_model_version_by_alias("yeast", "best").source == logged.artifact_location


def test_a_later_winner_takes_the_alias_and_an_older_one_does_not_take_it_back(register, mlflow_store, tmp_path):
    first, second = ridge_model(0), ridge_model(1)
    old = saved(first, tmp_path / "first")
    register(first, old)
    register(second, saved(second, tmp_path / "second"), sweep_id="yeast-240102-fedcba")
    assert str(mlflow_store.client.get_model_version_by_alias("yeast", "best").version) == "2"
    assert register(first, old).version == "1"
    assert str(mlflow_store.client.get_model_version_by_alias("yeast", "best").version) == "2"


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("ACGT", "sequence 1: 4 bases; this model takes exactly 2112"),
        ("ACGU" * 527 + "AC?T", "sequence 1: .* is no letter of a nucleotide"),
    ],
)
def test_a_sequence_that_does_not_fit_is_refused_with_its_row(register, mlflow_store, tmp_path, sequence, message):
    import mlflow
    import pandas as pd

    model = ridge_model()
    register(model, saved(model, tmp_path / "model"))
    source = mlflow_store.client.get_model_version_by_alias("yeast", "best").source
    loaded = mlflow.pyfunc.load_model(source)
    with pytest.raises(Exception, match=message):
        loaded.predict(pd.DataFrame({"sequence": ["A" * 2112, sequence]}))


def test_a_run_that_mlflow_does_not_know_is_a_sweep_error(mlflow_store, tmp_path):
    model = ridge_model()
    with pytest.raises(SweepError, match=r"the winner is not registered. .*not found.* Try again: genotune sync yeast"):
        register_winner(
            tracking_uri=mlflow_store.uri,
            run_id="0" * 32,
            model_folder=saved(model, tmp_path / "model"),
            name="yeast",
            model=model,
            sweep_id="yeast-240101-abcdef",
        )
