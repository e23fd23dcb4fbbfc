"""Where state lies: the platform's usual folders, or everything under AMI_WIZARD_HOME."""

import os
from pathlib import Path

from platformdirs import user_cache_path, user_state_path

from wizard.explain import Failure


def _home() -> Path | None:
    home = os.environ.get("AMI_WIZARD_HOME")
    if not home:
        return None
    place = Path(home).absolute()
    if place.exists() and not place.is_dir():
        raise Failure("unusable-home", where=place, evidence=["It is a file."])
    return place


def builds() -> Path:
    """One folder a build: its recipe, events, journals and logs."""
    return (_home() or user_state_path("ami-wizard")) / "builds"


def ahead() -> Path:
    """The work that begins while questions are still being answered: like a build, but nobody asked for it yet."""
    return (_home() or user_cache_path("ami-wizard")) / "ahead"


def drafts() -> Path:
    """Answers of a wizard that has not started its build yet."""
    return (_home() or user_state_path("ami-wizard")) / "drafts"


def uploads() -> Path:
    """What `ami-wizard upload` has sent of which image: its journals and ledgers."""
    return (_home() or user_state_path("ami-wizard")) / "uploads"


def practice() -> Path:
    """The practice cloud: what was uploaded and registered there."""
    return (_home() or user_state_path("ami-wizard")) / "practice"


def results() -> Path:
    """What finished steps left, by their keys; shared by all builds."""
    return (_home() or user_cache_path("ami-wizard")) / "results"


def downloads() -> Path:
    """Packages that were fetched; shared by all builds."""
    return (_home() or user_cache_path("ami-wizard")) / "downloads"


def answers() -> Path:
    """What AWS and the network were last asked: the AKIs of a region, how far away the regions are."""
    return (_home() or user_cache_path("ami-wizard")) / "answers"


def lab() -> Path:
    """The parts of the local Xen machine; shared by all builds."""
    return (_home() or user_cache_path("ami-wizard")) / "lab"


def proofs() -> Path:
    """What the consoles said of images that were started by `ami-wizard prove`."""
    return (_home() or user_cache_path("ami-wizard")) / "proofs"
