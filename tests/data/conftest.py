"""Builders of tiny files, and slow, obvious second implementations."""

from pathlib import Path

import numpy as np
import pyBigWig
import pysam
import pytest
from data.plink_project import Project

DEMO = Path(__file__).parents[2] / "search_spaces" / "demo" / "yeast_atac"
CONTIGS = {"chrI": 1003, "chrII": 640, "chrIII": 77}


def random_text(n_bases, rng):
    return "".join(rng.choice(list("ACGTNacgtnRy"), size=n_bases))


def random_values(n_bases, rng):
    """(base,) counts with gaps (NaN)."""
    values = rng.poisson(2.0, size=n_bases) + rng.choice([0.0, 0.25], size=n_bases)
    values[rng.random(n_bases) < 0.4] = np.nan
    values[n_bases // 3 : n_bases // 2] = np.nan
    return values


def write_fasta(path, sequences, *, line=60):
    """A FASTA; bgzipped if its name ends with .gz."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    with plain.open("w") as file:
        for name, text in sequences.items():
            lines = "\n".join(text[start : start + line] for start in range(0, len(text), line))
            file.write(f">{name} made up\n{lines}\n")
    if plain != path:
        pysam.tabix_compress(str(plain), str(path), force=True)
        plain.unlink()
    return path


def write_bigwig(path, values, *, lengths=None):
    """A bigWig of (base,) values by contig; NaN is left as a gap."""
    lengths = lengths or {contig: len(signal) for contig, signal in values.items()}
    with pyBigWig.open(str(path), "w") as bigwig:
        bigwig.addHeader(list(lengths.items()))
        for contig, signal in values.items():
            covered = np.flatnonzero(~np.isnan(signal))
            if covered.size:
                bigwig.addEntries(
                    [contig] * covered.size, covered, ends=covered + 1, values=signal[covered].astype(float)
                )
    return path


def binned_by_hand(path, contig, length, *, resolution_bp, missing):
    """(bin,) means, bin by bin from pyBigWig's values."""
    with pyBigWig.open(str(path)) as bigwig:
        values = bigwig.values(contig, 0, length, numpy=True).astype(float)
    means = []
    for start in range(0, length, resolution_bp):
        part = values[start : start + resolution_bp]
        if missing == "zero":
            means.append(np.where(np.isnan(part), 0, part).sum() / len(part))
        else:
            part = part[~np.isnan(part)]
            means.append(part.mean() if len(part) else np.nan)
    return np.array(means, dtype=np.float32)


class Files:
    """A folder with a reference and two tracks on it."""

    def __init__(self, folder, rng):
        self.folder = folder
        self.lengths = CONTIGS
        self.sequences = {contig: random_text(length, rng) for contig, length in CONTIGS.items()}
        self.values = {
            track: {contig: random_values(length, rng) for contig, length in CONTIGS.items()} for track in ("a", "b")
        }
        write_fasta(folder / "ref.fa", self.sequences)
        for track, values in self.values.items():
            write_bigwig(folder / f"{track}.bw", values)

    def data(self, **values):
        """What a spec would say of them."""
        tracks = {"a": {"path": "a.bw"}, "b": {"path": "b.bw"}}
        return {"kind": "bigwig", "reference": "ref.fa", "tracks": tracks, "resolution_bp": 32, **values}


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path, np.random.default_rng(0))


@pytest.fixture
def build_fasta():
    return write_fasta


@pytest.fixture
def build_bigwig():
    return write_bigwig


@pytest.fixture
def by_hand():
    return binned_by_hand


@pytest.fixture
def demo():
    return DEMO


@pytest.fixture
def project(tmp_path):
    """A fileset of mice with a table of their traits."""
    return Project(tmp_path)
