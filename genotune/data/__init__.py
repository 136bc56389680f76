"""Sources: files to named columns to a store. To add one: a file here, and its name in the union below."""

from collections.abc import Mapping
from typing import Annotated, Final, get_args

from pydantic import Field

from genotune.data.bigwig_settings import BigWigSettings
from genotune.data.plink_settings import PlinkSettings
from genotune.data.source import SourceSettings

AnySourceSettings = Annotated[BigWigSettings | PlinkSettings, Field(discriminator="kind")]
"""The registry."""

SOURCES: Final[Mapping[str, type[SourceSettings]]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(get_args(AnySourceSettings)[0])
}
"""The settings of each source, by its name."""
