"""The draft: the answers of a wizard that has not started its build yet, saved after every answer."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard import folders


@dataclass(frozen=True, slots=True)
class Draft:
    """Answers by their place in the recipe, and when they were saved (seconds since 1970)."""

    answers: Mapping[str, str]
    saved: float


def path() -> Path:
    """There is one draft a user: the wizard that was left last."""
    return folders.drafts() / "draft.toml"


def save(answers: Mapping[str, str]) -> None:
    """Replaces the draft as a whole: a crash leaves the old one or the new one.  Raises OSError."""
    import tomlkit

    from wizard.files import write_atomically

    path().parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path(), tomlkit.dumps({"answers": dict(answers)}))


def load() -> Draft | None:
    """The draft; None when there is none, or none that can be read (it is only ever a convenience)."""
    try:
        answers = tomllib.loads(path().read_text(encoding="utf-8"))["answers"]
        saved = path().stat().st_mtime
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError):
        return None
    if not isinstance(answers, dict) or not answers:
        return None
    return Draft({key: text for key, text in answers.items() if isinstance(text, str)}, saved)


def remove() -> None:
    """The build has its own record of the answers from now on."""
    path().unlink(missing_ok=True)


def remove_used(answers: Mapping[str, str]) -> None:
    """Removes the draft if it holds these answers and no others: another wizard may have saved its own since."""
    found = load()
    if found and found.answers == answers:
        remove()
