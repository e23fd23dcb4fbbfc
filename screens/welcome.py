"""The first screen: what this is, and what to begin with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.background import in_background
from screens.inputs import Choices
from screens.intents import Began, Left, Resumed
from screens.words import ago, plain, state
from wizard.draft import Draft

if TYPE_CHECKING:
    from wizard.run.builds import Build

WORDS = """\
This makes an EC2 machine image (AMI) from a Linux kernel and a userland.

You answer a few questions; each has a default that boots, and Enter takes it. Before anything is done \
you see every command and every call to AWS. A build can be stopped at any time and goes on where it was.

F1 explains the question you are at. Escape goes back."""

PRACTICE = "This is practice: the cloud is a small imitation on this machine. Nothing reaches AWS, nothing costs."

REAL = "This works with your AWS account: what is made there is shown first, and asked for."


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A build that stands, and what there is to say of it."""

    build: "Build"
    words: str


class Welcome(Widget):
    """What to begin with: a draft, a build that stands, or anew.  Enter takes the first."""

    def __init__(self, *, practice: bool, draft: Draft | None, offer_unfinished: bool) -> None:
        super().__init__(classes="view welcome")
        self._practice = practice
        self._draft = draft
        self._offer_unfinished = offer_unfinished
        self._unfinished: dict[str, Build] = {}

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="words", can_focus=False):
            yield Static(f"{WORDS}\n\n{PRACTICE if self._practice else REAL}", markup=False)
        yield Choices(markup=False, compact=True)

    def on_mount(self) -> None:
        self._offer([])
        self.query_one(Choices).focus()
        if self._offer_unfinished:
            in_background(self, unfinished_builds, self._offer)

    def _offer(self, builds: list[Unfinished]) -> None:
        rows = self.query_one(Choices)
        rows.clear_options()
        self._unfinished = {one.build.id: one.build for one in builds}
        rows.add_options([Option(plain(one.words), id=f"build {one.build.id}") for one in builds])
        if self._draft:
            rows.add_option(Option(f"Go on with the answers that you left {ago(self._draft.saved)}", id="draft"))
        rows.add_options([Option("Begin a new build", id="new"), Option("Quit", id="quit")])
        rows.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        chosen = event.option.id or ""
        if chosen == "quit":
            self.post_message(Left())
        elif chosen.startswith("build "):
            self.post_message(Resumed(self._unfinished[chosen.removeprefix("build ")]))
        else:
            self.post_message(Began(afresh=chosen == "new" and self._draft is not None))


def unfinished_builds() -> list[Unfinished]:
    """The builds that stand: step, age, region, and what they made in AWS."""
    from wizard.run.builds import all_builds, resources

    found = []
    for build in all_builds():
        where = build.state()
        if where.state == "finished":
            continue
        made = [f"{one['kind']} {one['id']}" for one in resources(build)]
        words = [
            f"Go on with {build.id}: {state(where.state)}{f' at {where.step}' if where.step else ''}",
            ago(where.last["time"] if where.last else build.recipe_path.stat().st_mtime),
            _region(build),
            f"in {'practice' if build.facts().practice else 'AWS'}: {', '.join(made) or 'nothing yet'}",
        ]
        found.append(Unfinished(build, "\n    ".join([words[0], " · ".join(words[1:])])))
    return found


def _region(build: "Build") -> str:
    """One damaged build must not hide the others."""
    from wizard.explain import Failure

    try:
        return build.recipe().target.region
    except Failure:
        return "its recipe cannot be read"
