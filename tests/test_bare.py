"""What a network needs to learn: torch, numpy and pydantic, as on a machine that has nothing else."""

import subprocess
import sys
from pathlib import Path

import genotune

BLOCKED = (
    *("ray", "mlflow", "xgboost", "optuna"),
    *("pybigtools", "pyBigWig", "pysam", "bed_reader", "pandas", "pyarrow"),
    *("safetensors", "yaml", "rich", "typer", "sklearn", "imblearn"),
)
"""All that genotune asks for beside those three."""

HIDDEN = f"""
import sys
sys.modules |= dict.fromkeys({BLOCKED!r})  # Python takes a module that is None for one that isn't there
"""

PROGRAM = """
import numpy as np
from genotune.judging import Judge, validate
from genotune.store import SequenceStore, Splits
from genotune.trainables import build_trainable
from genotune.trainables.trainable import FitPlan

rng = np.random.default_rng(0)
store = SequenceStore(
    sequence=rng.integers(0, 4, 6400, dtype=np.uint8),
    signal=rng.poisson(2, (1, 400)).astype(np.float32),
    offsets=np.array([0, 250, 400]),
    lengths=np.array([4000, 2400]),
    contigs=("chrA", "chrB"),
    tracks=("counts",),
    resolution_bp=16,
)
splits = Splits(np.array([0]), np.array([1]))
params = {"windows": {"length_bp": 256, "stride_bp": 64}, "bin_bp": 16, "channels": 4, "n_blocks": 1}
epochs = []

def report(progress):
    epochs.append(progress.epoch)
    scores = validate(progress.model, store, splits=splits, judge=Judge("pearson", bin_bp=16))
    assert np.isfinite(scores["pearson"]), scores

cnn = build_trainable("poisson_cnn", params, store.columns)
model = cnn.fit(store, splits, report=report, plan=FitPlan(seed=0, max_epochs=1))
assert epochs == [1]
predicted = model.predict(rng.integers(0, 5, (3, 256), dtype=np.uint8))
print(predicted.shape, bool(np.isfinite(predicted).all() and (predicted > 0).all()))
"""

GENOTYPES = """
import numpy as np
from genotune.store import GenotypeStore, Splits, Variants
from genotune.trainables import build_trainable
from genotune.trainables.trainable import FitPlan

rng = np.random.default_rng(0)
names = np.array([f"rs{i}" for i in range(20)])
variants = Variants(names, np.full(20, "1"), np.arange(20), np.full(20, "A"), np.full(20, "G"), np.full(20, 0.3))
store = GenotypeStore(
    rng.integers(-1, 3, (60, 20)).astype(np.int8),
    rng.normal(size=60),
    rng.normal(size=(60, 1)).astype(np.float32),
    np.array([["F", f"I{i}"] for i in range(60)]),
    variants,
    "height",
    "quantitative",
    (),
    ("age",),
)
splits = Splits(np.arange(40), np.arange(40, 60))
for family, params in (("genotype_cnn", {"channels": 2}), ("ridge", {}), ("covariates_only", {})):
    trainable = build_trainable(family, params, store.columns)
    model = trainable.fit(store, splits, report=lambda progress: None, plan=FitPlan(seed=0, max_epochs=1))
    predicted = model.predict_samples(store, splits.validation)
    print(family, predicted.shape, bool(np.isfinite(predicted).all()))
"""


TRIES = f"""
for name in {BLOCKED!r}:
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name)
"""


def run(program):
    return subprocess.run([sys.executable, "-c", HIDDEN + program], capture_output=True, text=True, check=False)


def test_a_cnn_learns_and_predicts_with_torch_numpy_and_pydantic_alone():
    ended = run(PROGRAM)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "(3, 1, 8) True\n"


def test_so_do_families_on_genotypes_that_need_no_other_library():
    ended = run(GENOTYPES)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "genotype_cnn (20,) True\nridge (20,) True\ncovariates_only (20,) True\n"


def test_what_is_hidden_from_it_can_not_be_imported():
    assert run(TRIES).stdout.split() == list(BLOCKED)


def test_a_folder_that_is_not_installed_can_be_imported(tmp_path):
    face = tmp_path / "genotune" / "__init__.py"
    face.parent.mkdir()
    face.write_text(Path(genotune.__file__).read_text())
    asked = [sys.executable, "-S", "-c", "import genotune; print(genotune.__version__)"]  # -S: no site-packages
    ended = subprocess.run(asked, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert ended.stdout == "not installed\n", ended.stderr
