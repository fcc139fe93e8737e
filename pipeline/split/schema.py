"""The one schema of all shards of ``data/splits``, so that any reader opens them together.

Both domains have the same columns; what one of them does not know is null. The metadata say to
Hugging Face ``datasets`` and its viewer that ``image`` is a picture.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.core.tables import IMAGE
from pipeline.imaging.attributes import ATTRIBUTES
from pipeline.split.assign import ORIGIN

# All that is no text. Identities are numbers of CelebA's or names of files: text.
TYPES = {
    "image": IMAGE,
    "batch": pa.int64(),
    **{
        name: pa.float64()
        for names in ORIGIN.values()
        for name in names
        if name.startswith(("box_", "left_", "right_"))
    },
}
_ORIGINS = dict.fromkeys(name for names in ORIGIN.values() for name in names)  # each once
COLUMNS = ("id", "image", "domain", "split", *ATTRIBUTES, "group", *_ORIGINS)
NAMES_OF_TYPES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64"}


def schema() -> pa.Schema:
    """Columns and types, with the features that Hugging Face keeps in a schema's metadata."""
    fields = [pa.field(name, TYPES.get(name, pa.string())) for name in COLUMNS]
    features = {field.name: _feature(field.type) for field in fields}
    told = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": told})


def conformed(part: pd.DataFrame, domain: str, split: str) -> pd.DataFrame:
    """Rows of one domain and split as `schema` types them; columns that are absent become null."""
    texts = {"identity": part["identity"].astype(str)} if "identity" in part else {}
    return part.assign(**texts, domain=domain, split=split)


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == IMAGE:
        return {"_type": "Image"}
    return {"dtype": NAMES_OF_TYPES[kind], "_type": "Value"}
