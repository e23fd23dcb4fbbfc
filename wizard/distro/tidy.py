"""What never belongs in an image, whoever made its userland: passwords, logs, caches, a machine's own secrets."""

TIDY = r"""
# No password: an account with one, or with an empty one, gets "*". Its keys still open it, which "!" needs PAM for.
[ ! -f etc/shadow ] || sed -i -E "s/^([^:]+):([^*!:][^:]*)?:/\1:*:/" etc/shadow
rm -f etc/shadow- etc/passwd- etc/group- etc/gshadow- etc/.pwd.lock
# Every instance makes its own.
rm -f etc/ssh/ssh_host_* var/lib/dbus/machine-id var/lib/systemd/random-seed var/lib/seedrng/* var/lib/misc/random-seed
# Logs and histories.
[ ! -d var/log ] || find var/log -type f -delete
rm -f root/.*_history root/.lesshst root/.wget-hsts
# Caches, which the next use fills again. debconf keeps the answers to its questions there.
for folder in var/cache var/tmp; do
  [ ! -d $folder ] || find $folder -mindepth 1 ! -type d ! -path "var/cache/debconf/*.dat" -delete
done
"""
"""Commands for a shell that stands in the root file system's folder; without single quotes.

Not for tmp: there mmdebstrap keeps what tells its apt which root it works on, and empties it itself; without that file
its last `apt-get update` and `apt-get clean` are of this machine.
"""

TIDY_TMP = "[ ! -d tmp ] || find tmp -mindepth 1 ! -type d -delete"
"""The same for tmp, where nobody else needs it any more."""
