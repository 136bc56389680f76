"""Builders of small real projects, and a look past MLflow's own eyes."""

import os
import sqlite3
from pathlib import Path

import numpy as np

MOTIF = "GATAAGCT"
_YEAST = Path(__file__).parents[1] / "search_spaces" / "demo" / "yeast_atac"

SPEC = """\
name: tiny
data:
  kind: bigwig
  reference: genome.fa
  tracks:
    sites: {path: sites.bw, transform: none}
  resolution_bp: 16
  missing: zero
split: {by: contig, validation: [chrB], test: [chrC]}
models:
  - family: poisson_cnn
    params:
      windows: {length_bp: 256, stride_bp: 256, select: tiles}
      bin_bp: 16
      channels: {choice: [2, 4]}
      n_blocks: {int: [0, 1]}
      stem_width: 9
      learning_rate: {log_uniform: [1.0e-3, 3.0e-2]}
search: {kind: tpe, seed: 3}
scheduler: {kind: asha, max_epochs: 4, reduction_factor: 2}
objective: {metric: pearson, bin_bp: 16}
budget: {trials: 5}
trials: {concurrent: 1}
"""


YEAST_SPEC = f"""\
name: yeast
data:
  kind: bigwig
  reference: {_YEAST / "sacCer3.fa.gz"}
  tracks:
    cutsites: {{path: {_YEAST / "cutsites.bw"}, transform: none}}
  resolution_bp: 32
  missing: zero
  exclude: {_YEAST / "exclude.bed"}
split: {{by: contig, validation: [chrIX], test: [chrXII]}}
models:
  - family: poisson_cnn
    params:
      windows: {{length_bp: 1024, stride_bp: 2048, select: tiles}}
      learning_rate: {{log_uniform: [1.0e-3, 1.0e-2]}}
      channels: 8
      n_blocks: 2
search: {{kind: random, seed: 7}}
scheduler: {{kind: none, max_epochs: 8}}
budget: {{trials: 4}}
resources: {{poisson_cnn: {{cpus: 1, gpus: 0}}}}
trials: {{retries: 0}}
"""
"""A sweep of small CNNs on the real yeast data: a few seconds an epoch."""

YEAST_STORE_CHUNKS = 3
"""The store takes 13.6 MB; objects cross from node to node in chunks of 5 MiB (ray 2.60)."""


def write_genome(folder: Path, *, lengths: dict[str, int], seed: int = 0) -> None:
    """A random genome, and a track with counts around each planted motif."""
    import pyBigWig

    rng = np.random.default_rng(seed)
    lines = []
    with pyBigWig.open(str(folder / "sites.bw"), "w") as track:
        track.addHeader(list(lengths.items()))
        for contig, length in lengths.items():
            bases = rng.choice(list("ACGT"), size=length)
            places = rng.choice(np.arange(50, length - 50), size=length // 300, replace=False)
            counts = rng.poisson(0.02, size=length).astype(float)
            for place in places:
                bases[place : place + len(MOTIF)] = list(MOTIF)
                counts[place - 20 : place + 28] += rng.poisson(0.8, size=48)
            lines += [f">{contig}", "".join(bases)]
            covered = np.flatnonzero(counts)
            track.addEntries(
                [contig] * len(covered), covered.tolist(), ends=(covered + 1).tolist(), values=counts[covered].tolist()
            )
    (folder / "genome.fa").write_text("\n".join(lines) + "\n")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would send a sweep elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "GENOTUNE_"))}
    return {**kept, "COLUMNS": "200"}


def rows(database: Path, query: str) -> list[tuple]:
    """What an MLflow store of sqlite really holds, past MLflow's own eyes."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found
