"""The flow of the wizard, without a screen."""

from wizard.flow import SCREENS, Flow


def test_next_leads_through_every_screen_in_order() -> None:
    flow, seen = Flow(), ["welcome"]
    while flow.current != "done":
        flow = flow.next()
        seen.append(flow.current)
    assert tuple(seen) == SCREENS
    assert flow.next().current == "done"


def test_going_back_keeps_how_far_one_has_been() -> None:
    flow = Flow().next().next().next().back()
    assert flow.current == "kernel"
    assert flow.reached == "disk"


def test_a_jump_leads_to_where_one_has_been_and_not_past_the_next_screen() -> None:
    flow = Flow().next().next()
    assert flow.goto("target").current == "target"
    assert flow.goto("disk").current == "disk"
    assert flow.goto("review").current == "kernel"


def test_nobody_jumps_into_a_build_or_out_of_one() -> None:
    review = Flow("review", "review")
    assert not review.can_go("build")
    assert not Flow("build", "build").can_go("target")
    assert Flow("build", "build").back().current == "build"
