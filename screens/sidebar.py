"""The steps of the wizard, where one is, and where one has been."""

from collections.abc import Collection

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.intents import WentTo
from screens.words import state
from wizard.flow import SCREENS, TITLES, Flow


class Sidebar(Vertical):
    """One line a step, with a glyph and a word; a click goes there."""

    def compose(self) -> ComposeResult:
        yield Static("ami-wizard", classes="title", markup=False)
        rows = OptionList(markup=False, compact=True)
        # Keys go among the steps by the palette; Tab stays with the questions.
        rows.can_focus = False
        yield rows

    def take(self, flow: Flow, wrong: Collection[str]) -> None:
        """Shows where the flow is; `wrong` are the screens with an answer to look at again."""
        rows = self.query_one(OptionList)
        rows.clear_options()
        for screen in SCREENS:
            can_go = flow.can_go(screen) and screen != flow.current
            words = f"{TITLES[screen]:<8} {state(step_state(flow, screen, wrong))}"
            rows.add_option(Option(words, id=screen, disabled=not can_go and screen != flow.current))
        rows.highlighted = flow.position

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(WentTo(event.option.id))


def step_state(flow: Flow, screen: str, wrong: Collection[str]) -> str:
    """The state of a step, by its name in `words.STATES`."""
    if screen == flow.current:
        return "now"
    if screen in wrong:
        return "wrong"
    return "done" if SCREENS.index(screen) < SCREENS.index(flow.reached) else "open"


def position_line(flow: Flow, cloud: str, *, is_narrow: bool) -> str:
    """What stands at the top: on a narrow screen it takes the sidebar's place."""
    if is_narrow:
        return f"step {flow.position + 1} of {len(SCREENS)} · {TITLES[flow.current]} · {cloud}"
    return f"{TITLES[flow.current]} · {cloud}"
