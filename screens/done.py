"""The last screen: what there is now, what took how long, what to do with it, how to remove it."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button, Static

from screens.intents import Left
from screens.words import plain


class Done(Widget):
    """Enter leaves."""

    def __init__(self, text: str) -> None:
        super().__init__(classes="view done")
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="words"):
            yield Static(plain(self._text), markup=False)
        yield Button("Close", id="close", compact=True, variant="primary")

    def on_mount(self) -> None:
        self.query_one("#close").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(Left())


def done_text(facts: Mapping[str, Any], took: Sequence[tuple[str, str]], launch: str, *, practice: bool) -> str:
    """Everything that a person wants to keep of a finished build."""
    where = " (practice cloud)" if practice else ""
    rows = [
        ("AMI", f"{facts.get('image_id', 'none')}{where}"),
        ("Bundle", facts["image_location"])
        if "image_location" in facts
        else ("Snapshot", facts.get("snapshot_id", "none")),
        ("Region", facts.get("region", "")),
        *(("Copy", f"{image_id} in {region}") for region, image_id in facts.get("copies", {}).items()),
        ("SHA-256", facts.get("sha256", "")),
    ]
    lines = ["✓ Your AMI is registered.", "", *(f"{name:<11} {text}" for name, text in rows)]
    lines += ["Image file", f"  {facts.get('image', 'none')}"]
    lines += ["", "What to do next", f"  {launch}"]
    if practice:
        lines.append("  (as it would be in AWS, which knows nothing of the practice cloud's ids)")
    lines += ["", "How to remove it", f"  ami-wizard clean {facts.get('build', 'BUILD')} --cloud"]
    width = max((len(title) for title, _ in took), default=0)
    lines += ["", "What took how long", *(f"  {title:<{width}}  {duration}" for title, duration in took)]
    return "\n".join(lines)


def launch_line(facts: Mapping[str, str], virtualization: str, arch: str) -> str:
    """The command that starts an instance, on a small type that takes such an AMI.

    Source of the types: AWS EC2 User Guide, "Instance types" (T4g: arm64, T3: HVM, M1 and M3: paravirtual).
    """
    kinds = {("paravirtual", "i386"): "m1.small", ("paravirtual", "x86_64"): "m3.medium", ("hvm", "arm64"): "t4g.micro"}
    kind = kinds.get((virtualization, arch), "t3.micro")
    image, region = facts.get("image_id", "AMI"), facts.get("region", "REGION")
    return f"aws ec2 run-instances --region {region} --image-id {image} --instance-type {kind} --key-name YOUR-KEY"
