"""`dutchbook topics list`: the topics of both clusters, a line each, or as the document that Terraform reads.

`infra/terraform/topics.json` is that document; a test holds it to `schemas/topics.py`.
"""

import json
from collections.abc import Iterator
from typing import Any

from schemas.topics import (
    DEPLOYED_REPLICATION_FACTOR,
    KEYED_PARTITIONS,
    REGIONS,
    creations,
    minimum_in_sync,
    mirrored_from,
    other,
)


def lines() -> Iterator[str]:
    """One line a topic and cluster, as they are on one machine."""
    for region in REGIONS:
        for creation in creations(region):
            settings = " ".join(f"{name}={value}" for name, value in sorted(creation.configuration.items()))
            yield f"{region}  {creation.name:40} partitions={creation.partitions}  {settings}"


def document() -> str:
    """The topics of a deployment as JSON.

    {"partitions": of keyed market data, "replication_factor": n, "minimum_in_sync_replicas": n,
    "regions": {region: [{"name", "partitions", "configuration"}]}: what is created in its cluster,
    "mirrored": {region: [names, as at home, of the other region's topics that are copied into this one]}}
    """
    replicas = DEPLOYED_REPLICATION_FACTOR
    whole: dict[str, Any] = {
        "partitions": KEYED_PARTITIONS,
        "replication_factor": replicas,
        "minimum_in_sync_replicas": minimum_in_sync(replicas),
        "regions": {
            region: [
                {
                    "name": creation.name,
                    "partitions": creation.partitions,
                    "configuration": dict(sorted(creation.configuration.items())),
                }
                for creation in creations(region, replicas)
            ]
            for region in REGIONS
        },
        "mirrored": {region: sorted(topic.name for topic in mirrored_from(other(region))) for region in REGIONS},
    }
    return json.dumps(whole, indent=2) + "\n"
