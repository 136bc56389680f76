"""Variants that stand more than once in a file, whatever its format."""

import numpy as np
import pytest
from data.genotype_file_builders import write_pfileset, write_vcf
from data.plink_builders import default_bim, write_fileset

from genotune.data.genotype_opening import open_genotypes
from genotune.errors import DataError

DOSAGE = np.zeros((6, 5), dtype=np.int8)


def opened(folder, *rows):
    """A .bed whose last variants are given as (contig, ID, position, allele 1, allele 2)."""
    bim = default_bim(5)
    bim[5 - len(rows) :] = [(contig, name, 0, position, one, two) for contig, name, position, one, two in rows]
    write_fileset(folder, "x", DOSAGE, bim=bim)
    return open_genotypes(folder, "x.bed")


def test_the_same_row_twice_is_refused_also_with_its_alleles_the_other_way_round(tmp_path):
    message = (
        r"^x\.bim: the variant 'rs0' at 1:1001 \({}\) stands there twice\. Nothing tells the two apart: leave one out, "
        r"e\.g\. plink2 --rm-dup force-first\.$"
    )
    for one, two in (("A", "G"), ("G", "A")):
        with pytest.raises(DataError, match=message.format(f"{one}/{two}")):
            opened(tmp_path, ("1", "rs0", 1001, one, two))


def test_without_a_position_id_and_alleles_tell_variants_apart(tmp_path):
    rows = [("1", "y", -9, "A", "G"), ("1", "y", 0, "A", "C"), ("1", "z", -9, "A", "G")]
    [note] = opened(tmp_path, *rows).notes
    assert note == (
        "x.bim: 1 variants have the ID of one before them, e.g. 'y'; they are told apart by place and alleles."
    )
    with pytest.raises(DataError, match=r"^x\.bim: the variant 'y' \(A/G\) stands there twice\."):
        opened(tmp_path, *rows, ("1", "y", 0, "A", "G"))


def test_a_variant_under_two_ids_is_counted(tmp_path):
    [note] = opened(tmp_path, ("1", "kgp1", 1001, "G", "A")).notes
    assert note == (
        "x.bim: 1 variants have place and alleles of one before them, under another ID; each counts as a variant of "
        "its own. prepare: {clump: {}} or {prune: {}} keeps one of such."
    )


def test_other_alleles_at_one_place_and_one_place_of_two_contigs_are_other_variants(tmp_path):
    assert opened(tmp_path, ("1", "rs9", 1001, "A", "C"), ("2", "rs8", 1001, "A", "G")).notes == ()


def test_variants_of_a_bim_without_ids_are_named_by_place_and_alleles(tmp_path):
    file = opened(tmp_path, ("1", ".", 7001, "A", "C"), ("2", ".", 7001, "A", "G"))
    assert file.variants.ids[-2:].tolist() == ["1:7001:C:A", "2:7001:G:A"]
    assert file.notes == ()


def test_it_is_the_same_in_files_of_plink_2_and_in_a_vcf(tmp_path):
    write_pfileset(tmp_path, "p", DOSAGE)
    pvar = tmp_path / "p.pvar"
    pvar.write_text(pvar.read_text().replace("2001\trs1", "1001\trs0"))
    with pytest.raises(DataError, match=r"^p\.pvar: the variant 'rs0' at 1:1001 \(A/G\) stands there twice\."):
        open_genotypes(tmp_path, "p.pgen")
    sites = [("1", 1001, ".", "G", "A")] * 2
    write_vcf(tmp_path / "v.vcf", [["0/1"] * 6] * 2, sites=sites)
    with pytest.raises(DataError, match=r"^v\.vcf: the variant '1:1001:G:A' at 1:1001 \(A/G\) stands there twice\."):
        open_genotypes(tmp_path, "v.vcf")
