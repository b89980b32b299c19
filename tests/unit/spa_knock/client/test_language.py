"""Which language is spoken, and by whom."""

import threading

import pytest

from spa_knock.client.errors import ClientError
from spa_knock.client.language import Language, of_environment, speaking, spoken, term, tr


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, Language.ENGLISH),
        ({"LANG": "zh_CN.UTF-8"}, Language.CHINESE),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "de_DE.UTF-8"}, Language.ENGLISH),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, Language.ENGLISH),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_TW"}, Language.CHINESE),
        ({"LC_ALL": "C", "SALLY_LANG": "zh-CN"}, Language.CHINESE),
        ({"LANG": "zh_CN.UTF-8", "SALLY_LANG": "en"}, Language.ENGLISH),
    ],
)
def test_the_clients_own_setting_comes_first_and_then_the_systems(environ: dict[str, str], language: Language) -> None:
    assert of_environment(environ) is language


def test_a_sentence_takes_its_values_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tr("No answer from {what}", what="Werk {1}") == "No answer from Werk {1}"
    monkeypatch.setenv("SALLY_LANG", "zh")
    assert tr("No answer from {what}", what="Werk {1}") == "Werk {1} 没有回应"
    assert (term("likely"), term("something new")) == ("很可能", "something new")
    assert tr("an untranslated {x}", x=1) == "an untranslated 1"


def test_who_asks_is_answered_in_its_own_language_and_nobody_else_is() -> None:
    heard: list[Language] = []
    with speaking("zh-CN"):
        assert spoken() is Language.CHINESE
        thread = threading.Thread(target=lambda: heard.append(spoken()))
        thread.start()
        thread.join()
        with speaking("tlh"):
            assert spoken() is Language.CHINESE
        assert ClientError.from_message({}).what == "后台代理拒绝了"
    assert spoken() is Language.ENGLISH
    assert heard == [Language.ENGLISH]
