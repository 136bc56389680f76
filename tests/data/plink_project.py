"""A fileset of mice with a table of their traits, to be changed and planned."""

import numpy as np
import pytest
from data.plink_builders import default_bim, default_fam, write_fileset, write_rows

from genotune.data.plink_settings import PlinkSettings
from genotune.errors import DataError
from genotune.genome.sample_groups import Fold
from genotune.genome.splits import FamilySplitSettings
from genotune.settings import build

N_SAMPLES, N_VARIANTS = 24, 30
FAMILIES = {"by": "family", "validation": 0.25, "test": 0.25}
OPEN = {"min_maf": 0, "min_call_rate": 0}


class Project:
    """A fileset of mice, and a table of their traits."""

    def __init__(self, folder):
        self.folder = folder
        self.rng = np.random.default_rng(0)
        self.dosage = self.rng.choice([0, 1, 2, -1], p=[0.35, 0.4, 0.2, 0.05], size=(N_SAMPLES, N_VARIANTS))
        self.columns = {
            "FID": [f"F{i // 2}" for i in range(N_SAMPLES)],
            "IID": [f"I{i}" for i in range(N_SAMPLES)],
            "CD8": [f"{value:.3f}" for value in self.rng.normal(size=N_SAMPLES)],
            "case": [i // 2 % 2 for i in range(N_SAMPLES)],
            "age": [30 + i % 5 for i in range(N_SAMPLES)],
            "sex": ["m" if i % 3 else "f" for i in range(N_SAMPLES)],
        }
        self.fam, self.bim = default_fam(N_SAMPLES), default_bim(N_VARIANTS)

    def write(self):
        """All files again."""
        write_fileset(self.folder, "mice", self.dosage, fam=self.fam, bim=self.bim)
        rows = [tuple(self.columns), *zip(*self.columns.values(), strict=True)]
        write_rows(self.folder / "traits.tsv", rows, separator="\t")

    def settings(self, **values):
        data = {"kind": "plink", "genotypes": "mice.bed", "phenotypes": "traits.tsv", "trait": "CD8", **values}
        return build(PlinkSettings, data)

    def plan(self, **values):
        """The plan of what is written now."""
        self.write()
        return self.settings(**values).plan(self.folder)

    def plan_of_fam(self, *phenotypes, **values):
        """A plan whose trait stands in the .fam."""
        self.fam = [(*row[:5], phenotype) for row, phenotype in zip(self.fam, phenotypes, strict=True)]
        return self.plan(phenotypes=None, **{"trait": None, **values})

    def refuse(self, message, **values):
        with pytest.raises(DataError, match=f"^{message}$"):
            self.plan(**values)


def family_split(**values):
    return build(FamilySplitSettings, FAMILIES | values)


def read(plan, split=None):
    return plan.read_store_here(plan.resolve(split or family_split()))


def fold_of(train, validation, test):
    return Fold(*(np.array(members, dtype=np.int64) for members in (train, validation, test)))
