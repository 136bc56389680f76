"""PLINK filesets made on the fly, written by hand after the documentation of PLINK 1.9."""

import numpy as np

MAGIC = b"\x6c\x1b\x01"
BITS = {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}


def write_fileset(folder, name, dosage, *, fam=None, bim=None):
    """x.bed, x.bim and x.fam; gives the path of the .bed.

    Args:
        folder: to write into.
        name: x.
        dosage: (sample, variant) copies of allele 1 (column 5 of the .bim), -1 where missing.
        fam: rows of six cells; None: `default_fam`.
        bim: rows of six cells; None: `default_bim`.
    """
    dosage = np.asarray(dosage)
    n_samples, n_variants = dosage.shape
    write_rows(folder / f"{name}.fam", default_fam(n_samples) if fam is None else fam, separator=" ")
    write_rows(folder / f"{name}.bim", default_bim(n_variants) if bim is None else bim, separator="\t")
    path = folder / f"{name}.bed"
    path.write_bytes(MAGIC + packed(dosage))
    return path


def packed(dosage):
    """Two bits a sample, low bits first, each variant padded with zeros to whole bytes."""
    n_samples, n_variants = dosage.shape
    codes = np.zeros((n_variants, -(-n_samples // 4) * 4), dtype=np.uint8)
    for copies, bits in BITS.items():
        codes[:, :n_samples][copies == dosage.T] = bits
    four = codes.reshape(n_variants, -1, 4)
    return (four << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(axis=2, dtype=np.uint8).tobytes()


def write_rows(path, rows, *, separator):
    """A table without a header."""
    path.write_text("".join(separator.join(str(cell) for cell in row) + "\n" for row in rows))
    return path


def default_fam(n_samples):
    """Two siblings a family, F0 I0, F0 I1, F1 I2 and so on, no parents, phenotype missing."""
    return [(f"F{i // 2}", f"I{i}", 0, 0, i % 2 + 1, -9) for i in range(n_samples)]


def default_bim(n_variants, *, contig="1"):
    """One contig, rs0 at its base 1001 (counted from 1), then one every 1000 bp, A counted, G the other allele."""
    return [(contig, f"rs{i}", 0, 1000 * i + 1001, "A", "G") for i in range(n_variants)]
