"""PLINK 2 filesets and VCFs made on the fly."""

import numpy as np
import pysam

SAMPLES = "#FID\tIID\tPAT\tMAT\tSEX\theight\n"
VARIANTS = "##source=by hand\n#CHROM\tPOS\tID\tREF\tALT\n"


def write_pfileset(folder, name, dosage, *, psam=None, pvar=None):
    """x.pgen, x.pvar and x.psam; gives the path of the .pgen.

    Args:
        folder: to write into.
        name: x.
        dosage: (sample, variant) copies of the alternate allele, -1 or NaN where missing; whole ones as int8 become
            calls, float ones dosages.
        psam: the text of the .psam; None: samples as of `plink_builders.default_fam`, and a height.
        pvar: the text of the .pvar; None: as of `plink_builders.default_bim`.
    """
    import pgenlib

    n_samples, n_variants = dosage.shape
    (folder / f"{name}.psam").write_text(default_psam(n_samples) if psam is None else psam)
    (folder / f"{name}.pvar").write_text(default_pvar(n_variants) if pvar is None else pvar)
    path = folder / f"{name}.pgen"
    is_whole = dosage.dtype == np.int8
    with pgenlib.PgenWriter(
        str(path).encode(), n_samples, variant_ct=n_variants, nonref_flags=False, dosage_present=not is_whole
    ) as writer:
        for variant in dosage.T:
            if is_whole:
                writer.append_biallelic(np.where(variant < 0, -9, variant).astype(np.int8))
            else:
                writer.append_dosages(np.where(np.isnan(variant), -9, variant))
    return path


def default_psam(n_samples):
    rows = [f"F{i // 2}\tI{i}\t0\t0\t{i % 2 + 1}\t{170 + i}\n" for i in range(n_samples)]
    return SAMPLES + "".join(rows)


def default_pvar(n_variants, *, contig="1"):
    return VARIANTS + "".join(f"{contig}\t{1000 * i + 1001}\trs{i}\tG\tA\n" for i in range(n_variants))


def write_vcf(path, genotypes, *, sites=None, samples=None, fields="GT", formats=("GT", "DS"), index=False):
    """A VCF; compressed by bgzip, or a BCF, after its name; gives its path.

    Args:
        path: of the file.
        genotypes: by variant, by sample, the text of its fields.
        sites: by variant, contig, position, ID, REF and ALT; None: contig 1, rs0 at 1001, then one every 1000 bp.
        samples: names; None: I0, I1 and so on.
        fields: the FORMAT of each variant.
        formats: that the header names.
        index: whether an index lies beside it.
    """
    n_samples = len(genotypes[0]) if genotypes else 0
    samples = [f"I{i}" for i in range(n_samples)] if samples is None else samples
    sites = [("1", 1000 * i + 1001, f"rs{i}", "G", "A") for i in range(len(genotypes))] if sites is None else sites
    kinds = {"GT": "Number=1,Type=String", "DS": "Number=1,Type=Float", "GL": "Number=G,Type=Float"}
    lines = ["##fileformat=VCFv4.3"]
    lines += [f'##FORMAT=<ID={name},{kinds[name]},Description="made up">' for name in formats]
    lines += [f"##contig=<ID={name}>" for name in dict.fromkeys(site[0] for site in sites)]
    head = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"] + (["FORMAT", *samples] if samples else [])
    lines.append("\t".join(head))
    for site, row in zip(sites, genotypes, strict=True):
        lines.append("\t".join([*map(str, site), ".", ".", ".", *([fields, *row] if samples else [])]))
    plain = path.with_name(path.name.partition(".")[0] + ".plain.vcf")
    plain.write_text("\n".join(lines) + "\n")
    if path.name.endswith(".vcf"):
        return plain.rename(path)
    if path.name.endswith(".bcf"):
        with pysam.VariantFile(str(plain)) as text, pysam.VariantFile(str(path), "wb", header=text.header) as binary:
            for record in text:
                binary.write(record)
    else:
        pysam.tabix_compress(str(plain), str(path), force=True)
    if index:
        pysam.tabix_index(str(path), preset="bcf" if path.name.endswith(".bcf") else "vcf", force=True)
    return path
