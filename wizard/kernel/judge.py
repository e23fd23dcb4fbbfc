"""What an audit says of a kernel as it was given: read, judged, put into words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wizard.explain import Failure
from wizard.kernel.audit import SEVERITIES, UNKNOWN_START, Finding, Start, Verdict, audit, profiles_for
from wizard.kernel.profiles import instance_profiles, profile
from wizard.kernel.subject import Subject, disagreements, known_of, read


@dataclass(frozen=True, slots=True)
class Judged:
    """A kernel and the verdicts on it."""

    subject: Subject
    verdicts: tuple[Verdict, ...]

    @property
    def is_fit(self) -> bool:
        """Whether it is known to boot and to be reachable as whatever it was judged for."""
        return all(verdict.boots and verdict.reachable for verdict in self.verdicts)


def judge(path: Path, wanted: str | None = None, start: Start = UNKNOWN_START) -> Judged:
    """Reads a kernel and audits it for one kind of instance, or (None) for those of its own architecture.

    Raises Failure: what `subject.read` raises, "unknown-kernel-arch", "unknown-profile".
    """
    return judged(read(path), wanted, start)


def judged(subject: Subject, wanted: str | None = None, start: Start = UNKNOWN_START) -> Judged:
    """The same of a kernel that was read already."""
    if wanted is not None and wanted not in profiles_for(None):
        raise Failure("unknown-profile", profile=wanted, known=", ".join(profiles_for(None)))
    config = known_of(subject)
    names = (wanted,) if wanted else profiles_for(config.arch)
    if not names:
        known = ", ".join(one.arch for one in instance_profiles() if one.arch)
        raise Failure("unknown-kernel-arch", path=subject.path, arch=config.arch, known=known)
    said = disagreements(subject.image, subject.config, subject.modules) if subject.image else []
    another = " ".join(one.sentence for one in said if one.of_another)
    if another:
        config = replace(config, lacks=f"The config is not this image's: {another}")
    more = tuple(_as_finding(one.sentence) for one in said)
    verdicts = (audit(config, name, start) for name in names)
    return Judged(subject, tuple(replace(verdict, findings=(*verdict.findings, *more)) for verdict in verdicts))


def _as_finding(sentence: str) -> Finding:
    return Finding(
        option="(the files)",
        wanted="of one kernel",
        found="different ones",
        severity="recommended",
        why=sentence.rstrip("."),
        breaks=f"What is said here may hold for one of them only. {sentence.rstrip('.')}",
        source="the files themselves",
    )


def by_finding(verdicts: Iterable[Verdict]) -> dict[Finding, list[str]]:
    """Each finding once, the worst first, with the profiles that have it."""
    found: dict[Finding, list[str]] = {}
    for verdict in verdicts:
        for finding in verdict.findings:
            found.setdefault(finding, []).append(verdict.profile)
    return dict(sorted(found.items(), key=lambda one: SEVERITIES.index(one[0].severity)))


def sentence(verdict: Verdict, *, with_name: bool = True) -> str:
    """The verdict in one sentence."""
    where = f"as {profile(verdict.profile).title}"
    where = f"{verdict.profile}: {where}" if with_name else f"A{where[1:]}"
    if verdict.boots is False:
        return f"{where} it does NOT boot."
    if verdict.reachable is False:
        comes_up = "it boots" if verdict.boots else "it may boot"
        return f"{where} {comes_up}, but nobody can reach or see it."
    if verdict.boots is None:
        return f"{where} it is UNKNOWN whether it boots."
    held = f" if its initramfs holds {_listed(verdict.provided)}" if verdict.provided else ""
    return f"{where} it boots and can be reached{held}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def described(subject: Subject) -> str:
    """What it is: its kind, version, architecture and packing."""
    words = [f"Linux {subject.version or 'of unknown version'}", subject.arch or "architecture unknown"]
    if subject.image is None:
        return ", ".join(["a kernel config", *words])
    words.append(f"compression {subject.image.compression}")
    if subject.image.starts_paravirtual is not None and subject.arch != "arm64":
        words.append("starts under Xen PV" if subject.image.starts_paravirtual else "no Xen PV entry")
    return ", ".join([f"a kernel image ({subject.image.kind})", *words])
