"""Sources: files to named columns to a store. To add one: a file here, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from genotune.data.bigwig import BigWigSettings

SourceSettings = Annotated[BigWigSettings, Field(discriminator="kind")]
"""The registry."""
