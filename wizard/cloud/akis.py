"""Asks AWS for its list of PV-GRUB kernel ids (AKIs)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wizard.cloud.errors import aws_errors
from wizard.cloud.session import HASTY, client
from wizard.explain import Failure
from wizard.targets.akis import Aki
from wizard.targets.live import Answer, keep

NAME = re.compile(r"pv-grub-(?P<device>hd00?)[-_]V?(?P<version>\d+(?:\.\d+)+)-(?P<arch>i386|x86_64)\.gz")
"""Amazon's names: pv-grub-hd0_1.05-x86_64.gz, and of the first version pv-grub-hd00-V1.01-i386.gz."""

THREADS = 8


def ask(region: str, endpoint: str | None = None) -> Answer:
    """What AWS lists in a region now, also kept for later.  Raises Failure for whatever AWS or the network refuses."""
    filters = [{"Name": "name", "Values": ["pv-grub-*.gz"]}]
    with aws_errors("DescribeImages", region):
        said = client("ec2", region, endpoint, HASTY).describe_images(Owners=["amazon"], Filters=filters)
    return keep(region, _rows(region, said["Images"]))


def ask_all(regions: Iterable[str], endpoint: str | None = None) -> Mapping[str, Answer | Failure]:
    """The same of several regions at once; one that refuses does not hold up the others."""

    def one(region: str) -> tuple[str, Answer | Failure]:
        try:
            return region, ask(region, endpoint)
        except Failure as failure:
            return region, failure

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(pool.map(one, regions))


def _rows(region: str, images: Iterable[Mapping[str, Any]]) -> Iterator[Aki]:
    for image in images:
        if match := NAME.fullmatch(image.get("Name", "")):
            yield Aki(
                region=region,
                arch=match["arch"],
                image_name=image["Name"],
                version=match["version"],
                device=match["device"],
                aki=image["ImageId"],
                sources=("AWS, by DescribeImages",),
                confidence=1,
            )
