"""Parquet files with metadata of this project's own, as JSON under the schema key `d4rl_automl`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from d4rl_automl.core import files

METADATA_KEY = b"d4rl_automl"


def write(table: pa.Table, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write `table` with `metadata`, compressed and with checksums; the file appears whole or not at all."""
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(metadata)})
    with files.whole(path) as part:
        pq.write_table(table, part, compression="zstd", write_page_checksum=True)


def metadata_of(schema: pa.Schema) -> dict[str, Any]:
    """This project's own metadata, empty where there are none; ValueError where they are not JSON."""
    found: dict[str, Any] = json.loads((schema.metadata or {}).get(METADATA_KEY, "{}"))
    return found
