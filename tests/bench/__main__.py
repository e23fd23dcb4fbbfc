"""`python -m tests.bench [starting] [building] [uploading] [--peer NAME=COMMAND]…`: all of them, or those named.

A peer is another uploader: its command, in which {image} stands for the file.  AWS_ENDPOINT_URL leads it to the
practice cloud.
"""

import argparse
from collections.abc import Callable

from . import building, starting, uploading


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("parts", nargs="*", choices=["starting", "building", "uploading", []])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND {image}")
    parser.add_argument("--model", action="append", metavar="FAULTS", help="of the practice cloud, e.g. delay=20,rate")
    parser.add_argument("--runs", type=int, default=uploading.RUNS)
    given = parser.parse_args()
    peers = dict(one.split("=", 1) for one in given.peer)
    parts: dict[str, Callable[[], None]] = {
        "starting": starting.main,
        "building": building.main,
        "uploading": lambda: uploading.main(peers, given.model or uploading.MODELS, given.runs),
    }
    for name in given.parts or parts:
        parts[name]()


main()
