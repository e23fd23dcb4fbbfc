"""Where packages come from: the recipe's mirror, the host's own configuration, or the installer's default."""

from pathlib import Path

from wizard.distro.distros import Distro

APT_SOURCES = Path("/etc/apt")


def mirrors(distro: Distro, mirror: str | None, release: str, arch: str, apt: Path = APT_SOURCES) -> tuple[str, ...]:
    """mmdebstrap's MIRROR arguments; none where its own default serves.

    A mirror of the recipe's comes first.  Otherwise the host's own sources for this release are taken, if it is a
    machine of that release which was told to ask other servers than the usual ones; then the distribution's own.
    """
    parts = " ".join(distro.own["components"])
    if mirror:
        return (f"deb {mirror} {release} {parts}",)
    found = {source for source in _host_sources(apt) if source[1].split("-")[0] == release}
    asked = (
        ()
        if any(f"{distro.own['domain']}/" in f"{uri}/" for uri, _ in found)
        else tuple(
            f"deb {uri} {suite} {parts}"
            for uri, suite in sorted(found, key=lambda source: source[1])
            if _is_whole(uri, release, found)
        )
    )
    return asked or tuple(
        f"deb {distro.own['mirrors'][arch]} {release}{pocket} {parts}" for pocket in distro.own.get("pockets", ())
    )


def _is_whole(uri: str, release: str, found: set[tuple[str, str]]) -> bool:
    """Whether a server carries the distribution itself: others have a suite of the same name, but not its updates."""
    return any((uri, f"{release}-{part}") in found for part in ("updates", "security"))


def _host_sources(apt: Path) -> set[tuple[str, str]]:
    """Servers and their suites that have a part `main`, from both of apt's formats (sources.list(5))."""
    found: set[tuple[str, str]] = set()
    for path in sorted(apt.glob("sources.list.d/*.sources")):
        for stanza in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            found |= _of_stanza(stanza)
    for path in [apt / "sources.list", *sorted(apt.glob("sources.list.d/*.list"))]:
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                found |= _of_line(line)
    return found


def _of_stanza(stanza: str) -> set[tuple[str, str]]:
    fields = dict(line.split(":", 1) for line in stanza.splitlines() if ":" in line and line[:1].isalpha())
    values = {key.lower(): value.split() for key, value in fields.items()}
    if "main" not in values.get("components", []) or "deb" not in values.get("types", []):
        return set()
    if values.get("enabled", ["yes"])[0].lower() == "no":
        return set()
    return {(uri, suite) for uri in values.get("uris", []) for suite in values.get("suites", [])}


def _of_line(line: str) -> set[tuple[str, str]]:
    words = [word for word in line.split("#")[0].split() if not (word.startswith("[") or word.endswith("]"))]
    return {(words[1], words[2])} if len(words) > 3 and words[0] == "deb" and "main" in words[3:] else set()
