"""Archives that a distribution publishes: fetched once, and used only with a good signature by the key that is meant.

That key is one of those that wizard/distro/keys.py has fetched and knows by their fingerprints.
"""

from wizard.distro import keys
from wizard.plan.actions import Run

FETCH = """\
# What was fetched once is used again. It is there as a whole or not at all.
fetch() {
  if [ ! -s "$DOWNLOADS/$2" ]; then
    mkdir -p "$DOWNLOADS/$(dirname "$2")"
    curl --fail --silent --show-error --location --retry 3 --output "$DOWNLOADS/$2.part.$$" "$1"
    mv "$DOWNLOADS/$2.part.$$" "$DOWNLOADS/$2"
  fi
}
# signed_by FINGERPRINT [SIGNATURE] FILE. Of a text with its signature in it, bootstrap/signed is what was signed and no
# more.
signed_by() {
  local fingerprint=$1
  shift
  gpg --dearmor < "bootstrap/keys/$fingerprint.asc" > bootstrap/key.gpg
  rm -f bootstrap/signed
  if gpgv --quiet --output bootstrap/signed --keyring ./bootstrap/key.gpg "$@"; then
    rm bootstrap/key.gpg
  else
    # Next time they are fetched anew.
    rm -f "$DOWNLOADS/keys/$fingerprint" "$@"
    echo "signature: ${!#} is not signed by the key $fingerprint" >&2
    return 1
  fi
}
"""
"""Functions for a step's commands, after `keys.fetch`.  Needs curl, gpg and gpgv."""


def fetched(commands: list[str]) -> Run:
    """The action that runs commands with `fetch` and `signed_by` at hand."""
    lines = "\n".join(commands)
    return Run(f"bash -euo pipefail <<'FETCH'\n{FETCH}{lines}\nFETCH")


TOOLS = [*keys.TOOLS, "gpgv"]
