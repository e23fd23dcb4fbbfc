"""What is shown of an audit's findings, and how: filtered, as a row, and whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from screens.words import STATES, state
from wizard.kernel.audit import SEVERITIES, Finding, Verdict
from wizard.kernel.judge import sentence
from wizard.kernel.menu import menu_path, version
from wizard.kernel.truth import seen_without


@dataclass(frozen=True, slots=True)
class Row:
    """A finding, and the profiles that have it."""

    finding: Finding
    profiles: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """By what it is found again when the kernel was read anew."""
        return self.finding.option, self.finding.wanted, self.finding.severity


@dataclass(frozen=True, slots=True)
class Filter:
    """Which findings are shown; None and "" let all through."""

    severity: str | None = None
    profile: str | None = None
    text: str = ""

    def next_severity(self) -> "Filter":
        """All, then boot, access, recommended, and all again."""
        return replace(self, severity=_after(self.severity, SEVERITIES))

    def next_profile(self, profiles: Sequence[str]) -> "Filter":
        """All, then one after the other."""
        return replace(self, profile=_after(self.profile, profiles))

    def lets_through(self, row: Row) -> bool:
        """Whether a finding is shown."""
        return (self.severity is None or row.finding.severity == self.severity) and self._is_meant(row)

    def _is_meant(self, row: Row) -> bool:
        said = f"{row.finding.option} {row.finding.why} {row.finding.breaks}".lower()
        words = self.text.lower().removeprefix("config_").split()
        return (self.profile is None or self.profile in row.profiles) and all(word in said for word in words)

    def line(self, rows: Iterable[Row], profiles: Sequence[str]) -> str:
        """The severities with their numbers, the chosen one in brackets, and what else narrows the list."""
        of_rest = [row.finding.severity for row in rows if self._is_meant(row)]
        marks = [_marked("all", len(of_rest), self.severity is None)]
        marks += [_marked(name, of_rest.count(name), self.severity == name) for name in SEVERITIES]
        line = f"v {' '.join(marks)}"
        if len(profiles) > 1:
            line += f" · p {self.profile or 'all kinds'}"
        return f"{line} · / {f'“{self.text}”' if self.text else 'find'}"


def _after(now: str | None, names: Sequence[str]) -> str | None:
    every = [None, *names]
    return every[(every.index(now) + 1) % len(every)] if now in every else None


def _marked(name: str, count: int, is_chosen: bool) -> str:
    word = STATES[name][1] if name in STATES else name
    return f"[{word} {count}]" if is_chosen else f"{word} {count}"


def verdict_line(verdict: Verdict) -> str:
    """A verdict's sentence with its mark."""
    is_fit = verdict.boots and verdict.reachable
    mark = "✓" if is_fit else "✗" if False in (verdict.boots, verdict.reachable) else "?"
    return f"{mark} {sentence(verdict)}"


def row_texts(rows: Sequence[Row], profiles: Sequence[str]) -> list[str]:
    """The findings, one line each, in columns as narrow as they can be."""
    found = [f"{row.finding.found}, wanted {row.finding.wanted}" for row in rows]
    widths = [max((len(text) for text in texts), default=0) for texts in ([row.finding.option for row in rows], found)]
    name, value = min(widths[0], 26), min(widths[1], 26)
    kinds = _short(profiles)
    return [
        f"{state(row.finding.severity):<8}  {row.finding.option:<{name}}  {said:<{value}}  "
        f"{_where(row, kinds) if len(profiles) > 1 else ''}".rstrip()
        for row, said in zip(rows, found, strict=True)
    ]


def _where(row: Row, kinds: dict[str, str]) -> str:
    return "all" if len(row.profiles) == len(kinds) else " ".join(kinds[name] for name in row.profiles)


def _short(profiles: Sequence[str]) -> dict[str, str]:
    """The kinds of instances without their architecture, where that is the same for all of them."""
    kinds = {name: name.partition("-")[0] for name in profiles}
    return kinds if len(set(kinds.values())) == len(profiles) else {name: name for name in profiles}


def detail(row: Row, arch: str | None) -> str:
    """A finding whole: why, what breaks, what the console says, where to change it, and who says so."""
    finding = row.finding
    parts = [f"{finding.option}: wanted {finding.wanted}, found {finding.found}"]
    parts.append(f"{_MEANS[finding.severity]}, as {' and '.join(row.profiles)}")
    parts.append(f"What breaks: {finding.breaks}.")
    parts.append(f"Why: {finding.why}.")
    if seen := next(filter(None, (seen_without(name, finding.option) for name in row.profiles)), None):
        said = "\n".join(f"| {line}" for line in seen.said)
        how = "Seen with it" if finding.wanted == "n" else "Seen without it"
        parts.append(f"{how} (Linux {seen.version}): {seen.outcome}. The console's last words:\n{said}")
    if path := menu_path(finding.option, arch):
        parts.append(f"In menuconfig (Linux {version()}): {path}")
    parts.append(f"Source: {finding.source}")
    return "\n".join([*parts[:2], "", *parts[2:]])


_MEANS = {
    "boot": "✗ boot: it keeps the kernel from booting",
    "access": "! access: it keeps everybody from reaching or seeing it",
    "recommended": "· recommended: it boots all the same, but is better otherwise",
}
