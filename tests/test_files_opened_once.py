"""A sweep over everything that can be searched opens its files to read them once, and never in a trial."""

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data.plink_builders import write_fileset, write_rows

from builders import SPEC, clean_environment, write_genome
from genotune.data.bigwig_datasource import BigWigDatasource
from genotune.journal import read_state
from genotune.plan import make_plan
from genotune.spec import read_spec
from sweeps import assert_record_is_complete, flat, sweep_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs inotify, which Linux has")

_IN_ACCESS, _IN_CLOSE_NOWRITE, _IN_OPEN = 0x01, 0x10, 0x20
_EVENT = "iIII"

PARAMS = """\
      windows:
        choice:
          - {select: tiles, length_bp: {choice: [256, 512]}, stride_bp: 256, zero_signal: {choice: [keep, drop, 0.5]}}
          - {select: threshold, length_bp: 256, stride_bp: 128, quantile: {uniform: [0.2, 0.6]}}
          - {select: peaks, peaks: sites, length_bp: 256, flanked: {choice: [false, true]}}
      bin_bp: {choice: [16, 32]}
      crop_bp: {choice: [0, 64]}
      jitter_bp: {int: [0, 40]}
      reverse_complement: {choice: [true, false]}
      transform: {choice: [none, arcsinh, [scale, {kind: clip, quantile: 0.99}]]}
      loss: {choice: [poisson, poisson_multinomial, mse]}
      channels: 2
      n_blocks: 1
      stem_width: 9
"""


class Opens:
    """How often a file has been opened by anybody, as the kernel tells."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle = libc.inotify_init1(os.O_NONBLOCK)
        assert self._handle >= 0, os.strerror(ctypes.get_errno())
        # The kernel makes one event of equal ones in a row: reading and closing are watched to keep openings apart.
        watched = _IN_OPEN | _IN_ACCESS | _IN_CLOSE_NOWRITE
        assert libc.inotify_add_watch(self._handle, os.fsencode(path), watched) >= 0

    def since_last(self) -> int:
        """Opens since it was last asked."""
        count = 0
        while True:
            try:
                content = os.read(self._handle, 1 << 16)
            except BlockingIOError:
                return count
            while content:
                _, mask, _, n_name = struct.unpack_from(_EVENT, content)
                content = content[struct.calcsize(_EVENT) + n_name :]
                count += bool(mask & _IN_OPEN)

    def close(self) -> None:
        os.close(self._handle)


@pytest.fixture
def project(tmp_path):
    write_genome(tmp_path, lengths={"chrA": 30_000, "chrB": 8_000, "chrC": 1_200_000})
    (tmp_path / "peaks.bed").write_text("".join(f"chrA\t{at}\t{at + 200}\n" for at in range(1000, 28_000, 1500)))
    before, _, after = SPEC.partition("      windows:")
    _, _, after = after.partition("search:")
    text = f"{before}{PARAMS}search:{after}".replace("trials: 5", "trials: 12").replace(
        "max_epochs: 4", "max_epochs: 1"
    )
    text = text.replace("  missing: zero\n", "  missing: zero\n  peaks: {sites: {path: peaks.bed}}\n")
    (tmp_path / "wide.yaml").write_text(text)
    return tmp_path / "wide.yaml"


def opens_by_stage(command, opens, folder):
    """Opens of the track up to each line that names a stage, and after the last; and what was printed."""
    counts, printed = {}, []
    environment = clean_environment()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            printed.append(line)
            if line.rstrip().endswith(" ..."):
                counts[line.split(" ", 1)[1].strip()] = opens.since_last()
    assert process.returncode == 0, "".join(printed)
    counts["the end"] = opens.since_last()
    return counts, "".join(printed)


def test_a_sweep_over_all_that_windows_and_targets_have_opens_a_track_once_per_read_task(project):
    data = make_plan(read_spec(project)).data
    n_tasks = len(BigWigDatasource(data.decoder, data.stretches()).get_read_tasks(1000))
    assert n_tasks > 1
    opens = Opens(project.parent / "sites.bw")
    genotune = [sys.executable, "-m", "genotune.cli"]
    to_check, _ = opens_by_stage([*genotune, "check", str(project)], opens, project.parent)
    counts, printed = opens_by_stage([*genotune, "run", str(project)], opens, project.parent)
    opens.close()

    stages = list(counts)
    first_trial = stages.index("Running trials ...")
    assert sum(counts[stage] for stage in stages[first_trial + 1 :]) == 0
    to_plan, checksum = to_check["the end"], 1
    assert sum(counts[stage] for stage in stages[: first_trial + 1]) == to_plan + checksum + n_tasks, counts

    state = read_state(sweep_folder(project.parent))
    finished = [trial for trial in state.trials.values() if trial.status in ("complete", "stopped")]
    assert len(finished) == 12, printed
    assert {trial.params["windows"]["select"] for trial in finished} == {"tiles", "threshold", "peaks"}
    for name in ("bin_bp", "crop_bp", "jitter_bp", "reverse_complement", "loss"):
        assert len({str(trial.params[name]) for trial in finished}) > 1, name


MICE = """\
name: mice
data:
  kind: plink
  genotypes: mice.bed
  phenotypes: mice.tsv
  trait: weight
  covariates: [age]
  summary_statistics: gwas.tsv
split: {by: family, validation: 0.25, test: 0.25, seed: 1}
models:
  - family: ridge
    params:
      n_variants: {choice: [15, null]}
      prepare:
        choice:
          - null
          - min_maf: {uniform: [0.0, 0.2]}
            min_call_rate: {choice: [0, 0.9]}
            min_hwe_p: {log_uniform: [1.0e-6, 1.0e-2]}
            max_p: {log_uniform: [0.3, 1.0]}
            rank_by:
              choice: [association, summary, {kind: trees, rounds: {int: [5, 20]}, max_depth: {int: [1, 3]}}]
            prune:
              choice:
                - null
                - {r2: {uniform: [0.6, 1.0]}, window_bp: {log_int: [1000, 100000]}}
                - {r2: {uniform: [0.6, 1.0]}, window_variants: {int: [2, 20]}}
            clump: {choice: [null, {r2: {uniform: [0.3, 0.9]}, window_bp: {log_int: [1000, 100000]}}]}
            impute: {choice: [none, mean, mode]}
            components: {choice: [0, 2]}
            adjust: {choice: [features, residuals]}
search: {kind: random, seed: 4}
scheduler: {kind: none, max_epochs: 1}
budget: {trials: 24}
trials: {concurrent: 1}
"""


@pytest.fixture
def mice(tmp_path):
    """120 mice, 60 variants, and another study of them."""
    rng = np.random.default_rng(5)
    dosage = rng.binomial(2, rng.uniform(0.2, 0.5, 60), (120, 60)).astype(np.int8)
    weight = dosage[:, :4] @ np.array([1.0, -0.8, 0.7, 0.6]) + rng.normal(scale=0.7, size=120)
    dosage[rng.random(dosage.shape) < 0.02] = -1
    write_fileset(tmp_path, "mice", dosage)
    samples = zip(
        [f"F{i // 2}" for i in range(120)], [f"I{i}" for i in range(120)], weight, rng.random(120), strict=True
    )
    write_rows(tmp_path / "mice.tsv", [("FID", "IID", "weight", "age"), *samples], separator="\t")
    study = [("SNP", "CHR", "BP", "A1", "A2", "P")]
    study += [(f"rs{i}", 1, 1000 * i + 1001, "G", "A", rng.random()) for i in range(0, 60, 2)]
    write_rows(tmp_path / "gwas.tsv", study, separator="\t")
    (tmp_path / "mice.yaml").write_text(MICE)
    return tmp_path / "mice.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("section", ["trials: {folds: 4}", "evaluation: {refit: true}"])
def test_however_many_folds_learn_from_genotypes_they_are_read_as_for_one(mice, section):
    mice.write_text(MICE.replace("budget: {trials: 24}\ntrials: {concurrent: 1}", f"budget: {{trials: 2}}\n{section}"))
    plan = make_plan(read_spec(mice))
    opens = Opens(mice.parent / "mice.bed")
    plan.data.vet(plan.fold, [])
    plan.data.read_store_here(plan.fold)
    to_read = opens.since_last()
    genotune = [sys.executable, "-m", "genotune.cli"]
    to_check, checked = opens_by_stage([*genotune, "check", str(mice)], opens, mice.parent)
    assert f"in {plan.n_stores} stores, one for each set of training samples, once per node" in checked
    counts, _ = opens_by_stage([*genotune, "run", str(mice)], opens, mice.parent)
    opens.close()
    assert "Fitting the winner on training and validation together ..." in counts
    to_plan, checksum = to_check["the end"], 1
    assert sum(counts.values()) == to_plan + checksum + to_read, counts


@pytest.mark.slow
def test_a_sweep_over_all_that_is_done_to_genotypes_opens_them_only_before_the_first_trial(mice):
    plan = make_plan(read_spec(mice))
    opens = Opens(mice.parent / "mice.bed")
    plan.data.vet(plan.fold, [])
    plan.data.read_store_here(plan.fold)
    to_read = opens.since_last()
    genotune = [sys.executable, "-m", "genotune.cli"]
    to_check, checked = opens_by_stage([*genotune, "check", str(mice)], opens, mice.parent)
    assert "note gwas.tsv: variants are chosen by the results of another study." in checked
    counts, printed = opens_by_stage([*genotune, "run", str(mice)], opens, mice.parent)
    opens.close()

    stages = list(counts)
    first_trial = stages.index("Running trials ...")
    assert sum(counts[stage] for stage in stages[first_trial + 1 :]) == 0
    to_plan, checksum = to_check["the end"], 1
    assert sum(counts[stage] for stage in stages[: first_trial + 1]) == to_plan + checksum + to_read, counts

    assert "note gwas.tsv: variants are chosen by the results of another study." in printed
    assert "note gwas.tsv: 30 of 60 variants are found" in printed
    state = read_state(sweep_folder(mice.parent))
    assert {trial.status for trial in state.trials.values()} == {"complete"}, printed
    prepared = [trial.params["prepare"] for trial in state.trials.values() if trial.params["prepare"] is not None]
    assert 6 < len(prepared) < 24
    for name in ("rank_by", "prune", "clump", "impute", "components", "adjust"):
        assert len({str(one[name]) for one in prepared}) > 1, name
    assert any("prepare.clump.r2" in dict(flat(trial.params)) for trial in state.trials.values())
    assert_record_is_complete(mice.parent, state)
