"""Searchers propose, schedulers decide. Pure, seeded, and rebuilt from a journal; no Ray here.

To add one: a file, and its settings in the union.
"""

from typing import Annotated

from pydantic import Field

from genotune.tuning.cmaes import CMAESSettings
from genotune.tuning.gp import GPSettings
from genotune.tuning.hyperband import HyperbandSettings
from genotune.tuning.median import MedianSettings
from genotune.tuning.pbt import PBTSettings
from genotune.tuning.schedulers import ASHASettings, NoSchedulerSettings
from genotune.tuning.searchers import GridSettings, RandomSettings
from genotune.tuning.tpe import TPESettings

SearchSettings = Annotated[
    RandomSettings | GridSettings | TPESettings | GPSettings | CMAESSettings, Field(discriminator="kind")
]

SchedulerSettings = Annotated[
    ASHASettings | HyperbandSettings | MedianSettings | PBTSettings | NoSchedulerSettings, Field(discriminator="kind")
]
