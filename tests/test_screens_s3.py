"""The answers of an S3-backed AMI on the screen: asked for where its storage is chosen."""

from pathlib import Path

import pytest
from textual.widgets import Static
from unbundle import key_pair
from waits import settle

from screens.app import Wizard
from screens.field import Field
from screens.inputs import Entry
from screens.review import blockers

IN_S3 = {"target.arch": "x86_64", "target.virtualization": "paravirtual", "target.storage": "s3"}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMI_WIZARD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_REGION", "us-east-1")


async def test_bucket_and_keys_are_asked_for_and_the_review_tells_where_the_bundle_goes(tmp_path: Path) -> None:
    pem = key_pair(tmp_path, "user")
    app = Wizard(practice=True, answers=IN_S3)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert {one.place for one in blockers(app.answers)} >= {"bundle.bucket", "bundle.certificate"}
        given = {
            "bundle.bucket": "practice-us-east-1",
            "bundle.certificate": str(pem.certificate),
            "bundle.private_key": str(pem.private_key),
        }
        for path, text in given.items():
            entry = next(one for one in app.screen.query(Field) if one.question.path == path).query_one(Entry)
            entry.focus()
            entry.value = text
            await pilot.press("enter")
            await settle(pilot)
        while app.flow.current != "review":
            await pilot.press("ctrl+n")
            await settle(pilot)

        assert blockers(app.answers) == []
        assert "the bucket practice-us-east-1 there" in str(app.screen.query(".preview Static").first(Static).render())
