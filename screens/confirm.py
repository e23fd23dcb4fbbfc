"""The questions that ask twice: before the build, and before leaving."""

from collections.abc import Mapping

from screens.dialogs import Ask
from wizard import questions
from wizard.plan.publish.prose import in_short


def confirmation(answers: Mapping[str, str], *, practice: bool) -> Ask:
    """The one point of no return: where it happens, what will be made, what it costs."""
    name, region = questions.value("name", answers), questions.value("target.region", answers)
    made = f"An EBS snapshot and the AMI “{name}” will be made in {region}"
    then = in_short(questions.recipe(answers).publish)
    if practice:
        text = f"{made} of the practice cloud on this machine. Nothing reaches AWS, and nothing costs.{then}"
        return Ask("Build it in the practice cloud?", text, [("yes", "Yes, build it"), ("no", "No, not yet")])
    text = (
        f"{made} of your AWS account, the one named on this screen. AWS charges for the snapshot by the month and by "
        f"the data in it, until you remove it with ami-wizard clean. Building on this machine costs nothing.{then}"
    )
    return Ask("Build it in AWS?", text, [("no", "No, not yet"), ("yes", "Yes, build it")])


def quit_question(*, is_busy: bool, watches: bool) -> Ask:
    """Before leaving; the first answer is the safe one."""
    if is_busy and not watches:
        answers = [
            ("leave", "Keep it running in the background"),
            ("stop", "Stop it, and keep what is finished"),
            ("", "Stay"),
        ]
        return Ask("The build is running", "Whatever you choose, what is finished is never done again.", answers)
    text = "The build goes on without you." if watches else "Your answers and what is built are kept."
    return Ask("Quit?", text, [("leave", "Quit"), ("", "Stay")])
