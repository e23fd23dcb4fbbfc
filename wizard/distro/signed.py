"""Archives that a distribution publishes: fetched once, and used only with a good signature by the key that is meant.

The key itself is fetched as well, from the distribution's own site; what makes it the right one is its fingerprint,
which stands in the distribution's TOML with where it was published.
"""

from wizard.plan.steps import Run

FETCH = """\
# What was fetched once is used again. It is there as a whole or not at all.
fetch() {
  if [ ! -s "$DOWNLOADS/$2" ]; then
    mkdir -p "$DOWNLOADS/$(dirname "$2")"
    curl --fail --silent --show-error --location --retry 3 --output "$DOWNLOADS/$2.part.$$" "$1"
    mv "$DOWNLOADS/$2.part.$$" "$DOWNLOADS/$2"
  fi
}
# signed_by FINGERPRINT KEYS [SIGNATURE] FILE: other keys that are in the file of keys do not count. Of a text with its
# signature in it, bootstrap/signed is what was signed and no more.
signed_by() {
  local fingerprint=$1 keys=$2
  shift 2
  if grep -q 'BEGIN PGP' "$keys"; then gpg --dearmor < "$keys"; else cat "$keys"; fi > bootstrap/keys.gpg
  rm -f bootstrap/signed
  if gpgv --status-fd 1 --output bootstrap/signed --keyring ./bootstrap/keys.gpg "$@" > bootstrap/signature.status &&
    grep -q "^\\[GNUPG:\\] VALIDSIG .*$fingerprint$" bootstrap/signature.status; then
    rm bootstrap/keys.gpg bootstrap/signature.status
  else
    # Next time they are fetched anew.
    rm -f "$keys" "$@"
    echo "signature: ${!#} is not signed by the key $fingerprint" >&2
    return 1
  fi
}
"""
"""Functions for a step's commands.  Needs curl, gpg and gpgv.

The last field of gpgv's VALIDSIG is the primary key's fingerprint, whichever of its subkeys signed.  Source: GnuPG's
doc/DETAILS.
"""


def fetched(commands: list[str]) -> Run:
    """The action that runs commands with `fetch` and `signed_by` at hand."""
    lines = "\n".join(commands)
    return Run(f"bash -euo pipefail <<'FETCH'\n{FETCH}{lines}\nFETCH")


TOOLS = ["curl", "gpg", "gpgv"]
