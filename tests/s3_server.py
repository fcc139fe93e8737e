"""An S3-compatible server on loopback for one test: moto's, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer

# Whom the server lets in does not matter to it; without keys no client asks.
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
BUCKET = "faces"


@dataclass(frozen=True)
class Bucket:
    """An empty bucket: its URL as DVC wants it, and the server's address."""

    url: str
    endpoint: str

    def objects(self) -> int:
        """How many it has by now."""
        listed = _client(self.endpoint).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return sum(page["KeyCount"] for page in listed)


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Serve an empty bucket until the end of the block."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        _client(endpoint).create_bucket(Bucket=BUCKET)
        yield Bucket(f"s3://{BUCKET}/team", endpoint)
    finally:
        server.stop()


def _client(endpoint: str):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
