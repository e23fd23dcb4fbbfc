"""What goes on beside the person while questions are answered: never waited for, never in the way."""

from collections.abc import Callable
from dataclasses import dataclass, field

from textual.message_pump import MessagePump

from screens.background import in_background
from wizard import questions
from wizard.explain import Failure, explain
from wizard.questions import Answers

REGIONS = "regions"


def begin_ahead(owner: MessagePump, answers: Answers, then: Callable[[bool], None]) -> None:
    """Begins what takes longest while the plan is still being read; `then` is told whether it has begun."""
    from screens.review import blockers

    if blockers(answers):
        return

    def begin() -> bool:
        from wizard.run import ahead

        return ahead.begin(questions.recipe(answers))

    in_background(owner, begin, then)


def ask_akis(region: str) -> str:
    """Asks AWS for its AKIs; gives what came of it, in a few words."""
    from wizard.cloud.akis import ask
    from wizard.targets.live import compared

    try:
        answer = ask(region)
    except Failure as failure:
        return f"not checked against AWS. {explain(failure).what}"
    marks = list(compared(answer).values())
    told = [f"{marks.count(mark)} {mark}" for mark in ("confirmed", "changed", "new", "gone") if mark in marks]
    return f"AWS was asked just now: {', '.join(told) or 'it lists none'}"


def measure_regions() -> str:
    """Measures how far away the regions are, for the region question to show."""
    from wizard.targets.latency import measure
    from wizard.targets.regions import regions

    return f"{len(measure(regions()))} regions answered"


@dataclass(slots=True)
class Lookups:
    """What the Target screen asks of AWS and of the network, each thing once a session.

    `show` is called whenever something was heard, with a line to be shown below the form.
    """

    owner: MessagePump
    show: Callable[[str], None]
    ask_akis: Callable[[str], str] = ask_akis
    measure: Callable[[], str] = measure_regions
    _answers: Answers = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)

    def about(self, answers: Answers) -> None:
        """Asks what these answers make worth knowing."""
        self._answers = answers
        self._once(REGIONS, self.measure)
        if region := self._region():
            self._once(region, lambda: self.ask_akis(region))
        self._tell()

    def _region(self) -> str | None:
        is_paravirtual = questions.value("target.virtualization", self._answers) == "paravirtual"
        return questions.value("target.region", self._answers) if is_paravirtual else None

    def _once(self, about: str, work: Callable[[], str]) -> None:
        if about in self._said:
            return
        self._said[about] = "asking AWS…"

        def heard(words: str) -> None:
            self._said[about] = words
            self._tell()

        in_background(self.owner, work, heard)

    def _tell(self) -> None:
        region = self._region()
        self.show(f"AKIs in {region}: {self._said[region]}" if region else "")
