"""The keys that a distribution signs with: fetched from where they lie, and known by their fingerprints."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wizard.plan.actions import Run

TOOLS = ("gpg", "curl")


def fetch(rows: Iterable[Mapping[str, str]]) -> Iterator[Run]:
    """What fetches each key and keeps it only if its fingerprint is the one that our presets name.

    bootstrap/keys has them afterwards, by their fingerprints.
    """
    rows = list(rows)
    if rows:
        yield Run('mkdir -p "$DOWNLOADS/keys" bootstrap/keys')
    for row in rows:
        fingerprint, address = row["fingerprint"], shlex.quote(row["address"])
        yield Run(f"""\
kept="$DOWNLOADS/keys/{fingerprint}"
if [ ! -s "$kept" ]; then
  curl -fsSL --retry 3 -o bootstrap/key {address} || {{ echo no key came from {address} >&2; exit 1; }}
  mv bootstrap/key "$kept"
fi
mkdir -m 700 bootstrap/gnupg
gpg --homedir bootstrap/gnupg --quiet --batch --import "$kept" || true
# The fingerprint of a subkey would let in whatever key somebody hung it on.
gpg --homedir bootstrap/gnupg --quiet --batch --with-colons --list-keys > bootstrap/keys.list
if awk -F: '$1 == "pub" {{own = 1}} $1 == "fpr" && own {{own = 0; if ($10 == "{fingerprint}") found = 1}}
  END {{exit !found}}' bootstrap/keys.list; then
  gpg --homedir bootstrap/gnupg --quiet --batch --armor --export {fingerprint} > bootstrap/keys/{fingerprint}.asc
fi
rm -r bootstrap/gnupg bootstrap/keys.list
if [ ! -s bootstrap/keys/{fingerprint}.asc ]; then
  rm "$kept"
  echo what came from {address} is not the key {fingerprint} >&2
  exit 1
fi""")


def files(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """The keys' files, as the step's commands see them."""
    return [f"bootstrap/keys/{row['fingerprint']}.asc" for row in rows]


def of_release(own: Mapping[str, Any], release: str) -> list[Mapping[str, str]]:
    """The keys with which a release is signed: its own, or those that all releases share."""
    rows: Mapping[str, list[Mapping[str, str]]] = own.get("keys", {})
    return [*rows.get("all", ()), *rows.get(release, ())]
