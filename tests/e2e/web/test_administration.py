"""People, targets, grants and the audit trail."""

import pytest
from playwright.sync_api import expect

from tests.e2e.web.conftest import Opener, Plant

pytestmark = pytest.mark.browser


def test_a_new_persons_activation_link_is_shown_once_and_works(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("root", "/people")
    console.button("identities.add").click()
    console.page.get_by_label(console.text("identities.role_label")).click()
    console.page.get_by_text(console.text("identities.role.auditor"), exact=True).last.click()
    console.page.get_by_label(console.text("identities.name"), exact=True).fill("Sun Yan 孙燕")
    console.page.get_by_label(console.text("identities.username")).fill("sunyan")
    console.button("identities.create").click()
    link = console.page.get_by_label(console.text("identities.activation_link")).input_value()
    console.button("app.done").click()
    expect(console.page.get_by_role("row", name="sunyan")).to_contain_text(console.text("identities.state.invited"))
    assert plant.house.people["sunyan"].role == "auditor"
    other = open_console()
    other.page.goto(link)
    other.sees("identities.activation_username", username="sunyan")


def test_a_person_is_confirmed_by_the_code_that_they_were_shown(open_console: Opener, plant: Plant) -> None:
    plant.house.people["newcomer"].state = "unconfirmed"
    console = open_console()
    console.sign_in("sec", "/people")
    row = console.page.get_by_role("row", name="newcomer")
    row.get_by_role("button", name=console.text("identities.confirm_open")).click()
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_label(console.text("identities.confirmation_code")).fill("0000-0000")
    dialog.get_by_role("button", name=console.text("identities.confirm")).click()
    console.sees("identities.problem.confirmation_code_differs")
    dialog.get_by_label(console.text("identities.confirmation_code")).fill("7k3m-q0zt")
    dialog.get_by_role("button", name=console.text("identities.confirm")).click()
    expect(row).to_contain_text(console.text("identities.state.active"))
    expect(row.get_by_role("button")).to_have_count(0)


def test_a_reset_shows_a_new_link_once(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("root", "/people")
    row = console.page.get_by_role("row", name="zhang")
    row.get_by_role("button", name=console.text("identities.reset")).click()
    console.page.get_by_role("dialog").get_by_role("button", name=console.text("identities.reset")).click()
    link = console.page.get_by_label(console.text("identities.activation_link")).input_value()
    assert plant.house.activations[link.rsplit("#", 1)[-1]] == "zhang"
    console.button("app.done").click()
    expect(row).to_contain_text(console.text("identities.state.invited"))


def test_an_engineer_gets_a_token_for_the_client_and_no_link(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("root", "/people")
    console.button("identities.add").click()
    console.page.get_by_label(console.text("identities.name"), exact=True).fill("A. Weber")
    console.page.get_by_label(console.text("identities.username")).fill("weber")
    console.page.get_by_label(console.text("identities.company")).fill("Weber GmbH")
    console.button("identities.create").click()
    console.sees("identities.hand_over_token")


def test_a_taken_user_name_is_refused_in_words(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("root", "/people")
    console.button("identities.add").click()
    console.page.get_by_label(console.text("identities.name"), exact=True).fill("Another")
    console.page.get_by_label(console.text("identities.username")).fill("keller")
    console.page.get_by_label(console.text("identities.company")).fill("Another")
    console.button("identities.create").click()
    console.sees("identities.problem.username_taken")


def test_a_target_is_added_in_a_new_zone_and_gets_its_credential(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    page = console.page
    console.sign_in("sec", "/targets")
    console.button("targets.add").click()
    page.get_by_label(console.text("targets.name"), exact=True).fill("press-plc-01")
    page.get_by_label(console.text("targets.new_zone")).fill("Press shop")
    console.button("targets.add_zone").click()
    page.get_by_label(console.text("targets.address"), exact=True).fill("10.20.9.4")
    page.get_by_label(console.text("targets.host_key"), exact=True).fill(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4rZ0m0Zf2oVb0rP0n1m2l3k4j5h6g7f8d9s0a1q2w3 press"
    )
    expect(page.get_by_text("SHA256:")).to_be_visible()
    accounts = page.get_by_label(console.text("targets.accounts"), exact=True)
    accounts.fill("maint")
    accounts.press("Enter")
    console.button("targets.create").click()
    page.get_by_role("link", name="press-plc-01").click()
    console.button("targets.put_credential").click()
    page.get_by_role("dialog").get_by_label(console.text("vault.password")).last.fill("s3cret of the press")
    console.button("vault.keep_credential").click()
    console.sees("vault.credential_kept", account="maint")
    assert [secret.secret for secret in plant.house.secrets] == ["s3cret of the press"]
    assert "s3cret" not in page.content()


def test_a_grant_is_revoked_with_a_reason(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang", "/grants")
    console.button("grants.revoke").click()
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_role("button", name=console.text("grants.revoke")).click()
    console.sees("app.reason_needed")
    dialog.get_by_label(console.text("app.reason")).fill("Work is done")
    dialog.get_by_role("button", name=console.text("grants.revoke")).click()
    expect(console.page.get_by_role("row", name="line3-plc-gw01")).to_contain_text(console.text("grants.state.revoked"))
    assert plant.house.grants["grt_1"].state == "revoked"


def test_the_trail_is_paged_and_filtered_and_says_whether_it_holds(open_console: Opener, plant: Plant) -> None:
    for number in range(60):
        plant.house.tell("identities.sign_in.ended", "psn_zhang", "psn_zhang", number=number)
    console = open_console()
    console.sign_in("audit", "/audit")
    console.sees("audit.chain_holds")
    expect(console.page.get_by_role("row")).to_have_count(101)
    console.button("app.more").click()
    expect(console.page.get_by_role("row")).to_have_count(len(plant.house.audit) + 1)
    console.page.get_by_label(console.text("audit.filter")).fill("devices.*")
    console.button("audit.apply").click()
    expect(console.page.get_by_role("row")).to_have_count(3)


def test_only_what_happened_to_one_thing_is_shown(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("audit", "/audit")
    console.page.get_by_role("button", name="ses_2", exact=True).click()
    console.sees("audit.about")
    expect(console.page.get_by_role("row")).to_have_count(2)
    console.button("audit.about_all").click()
    expect(console.page.get_by_role("row")).not_to_have_count(2)


def test_a_person_is_found_beyond_the_first_page(open_console: Opener, plant: Plant) -> None:
    pattern = plant.house.people["wang"]
    for number in range(230):
        name = f"engineer-{number:03}"
        changed = {"id": f"psn_{name}", "username": name, "display_name": f"Engineer {number}"}
        plant.house.people[name] = pattern.model_copy(update=changed)
    console = open_console()
    console.sign_in("root", "/people")
    expect(console.page.get_by_role("row")).to_have_count(101)
    search = console.page.get_by_label(console.text("app.search_in", list=console.text("identities.people")))
    search.fill("engineer-229")
    expect(console.page.get_by_role("row")).to_have_count(2)
    expect(console.page.get_by_role("row", name="engineer-229")).to_be_visible()
    search.fill("nobody of this name")
    console.sees("app.none_found")
