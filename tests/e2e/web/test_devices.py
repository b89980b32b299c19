"""Devices: the invite is shown once, trust needs the code that was read aloud."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.web.conftest import PHONE, Opener, Plant

pytestmark = pytest.mark.browser
BOTH = pytest.mark.parametrize("language", ["en", "zh-CN"])


@BOTH
def test_a_device_is_trusted_only_with_the_code_read_aloud(open_console: Opener, plant: Plant, language: str) -> None:
    console = open_console(size=PHONE, language=language)
    console.sign_in("zhang", "/devices")
    console.button("devices.trust").click()
    dialog = console.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Wang Lei")
    assert "T3HP-9WRA" not in dialog.inner_text()
    dialog.get_by_label(console.text("devices.short_code")).fill("K7Q4-M2XD")
    console.button("devices.trust_confirm").click()
    console.sees("devices.problem.short_code_differs")
    assert plant.house.devices["dev_2"].state == "pending"
    dialog.get_by_label(console.text("devices.short_code")).fill("t3hp-9wra")
    console.button("devices.trust_confirm").click()
    expect(dialog).to_have_count(0)
    assert plant.house.devices["dev_2"].state == "trusted"
    expect(console.button("devices.trust")).to_have_count(0)


def test_an_invite_can_be_copied_and_saved(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("zhang", "/devices")
    console.button("devices.invite").click()
    console.page.get_by_role("combobox").fill("Keller")
    console.page.get_by_text("J. Keller · Keller Robotik GmbH").last.click()
    console.button("devices.invite_create").click()
    text = console.page.get_by_label(console.text("devices.invite_text")).input_value()
    assert text.startswith("sallyport-invite-1.")
    console.button("app.copy").click()
    console.sees("app.copied")
    assert console.page.evaluate("navigator.clipboard.readText()") == text
    with console.page.expect_download() as saved:
        console.button("app.download").click()
    assert saved.value.suggested_filename == "sallyport-invite-keller.txt"
    assert Path(saved.value.path()).read_text().strip() == text
    console.sees("app.once")


def test_a_device_is_suspended_let_in_again_and_retired(open_console: Opener, plant: Plant) -> None:
    console = open_console()
    console.sign_in("zhang", "/devices")
    row = console.page.get_by_role("row", name="KR-LAPTOP-7")
    row.get_by_role("button", name=console.text("devices.suspend")).click()
    console.page.get_by_role("dialog").get_by_role("button", name=console.text("devices.suspend")).click()
    expect(row).to_contain_text(console.text("devices.state.suspended"))
    row.get_by_role("button", name=console.text("devices.resume")).click()
    expect(row).to_contain_text(console.text("devices.state.trusted"))
    row.get_by_role("button", name=console.text("devices.retire")).click()
    console.page.get_by_role("dialog").get_by_role("button", name=console.text("devices.retire")).click()
    expect(row).to_contain_text(console.text("devices.state.retired"))
    assert plant.house.devices["dev_1"].state == "retired"
    expect(row.get_by_role("button")).to_have_count(0)


@BOTH
def test_a_device_is_made_to_name_its_address_and_let_off_again(
    open_console: Opener, plant: Plant, language: str
) -> None:
    console = open_console(language=language)
    console.sign_in("zhang", "/devices")
    switch = console.page.get_by_role("switch", name=console.text("devices.names_address_of", name="KR-LAPTOP-7"))
    expect(switch).not_to_be_checked()
    switch.click()
    console.sees("devices.names_address_text")
    console.button("devices.names_address_confirm").click()
    expect(switch).to_be_checked()
    assert plant.house.devices["dev_1"].allow_header_address is False
    switch.click()
    expect(switch).not_to_be_checked()
    assert plant.house.devices["dev_1"].allow_header_address is True


def test_an_auditor_sees_what_devices_must_name_and_changes_nothing(open_console: Opener) -> None:
    console = open_console()
    console.sign_in("audit", "/devices")
    switch = console.page.get_by_role("switch", name=console.text("devices.names_address_of", name="KR-LAPTOP-7"))
    expect(switch).to_be_visible()
    expect(switch).to_be_disabled()
