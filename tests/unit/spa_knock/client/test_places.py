"""Where things lie: the home, and a folder of sockets for each home."""

from pathlib import Path

from spa_knock.client.places import control_socket, default_home, home_dir, run_dir


def test_the_home_is_the_chosen_one_or_the_platforms() -> None:
    assert home_dir({"SALLY_HOME": "/srv/a"}) == Path("/srv/a")
    assert home_dir({"SALLY_HOME": "relative"}).is_absolute()
    assert home_dir({"XDG_CONFIG_HOME": "/cfg"}) == Path("/cfg/sallyport")
    assert home_dir({"XDG_CONFIG_HOME": "cfg"}) == Path.home() / ".config" / "sallyport"


def test_two_homes_never_share_an_agent() -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/7"}
    assert run_dir(default_home(environ), environ) == Path("/run/user/7/sallyport")
    one, two = run_dir(Path("/srv/a"), environ), run_dir(Path("/srv/b"), environ)
    assert one != two
    assert one.parent == Path("/run/user/7")


def test_without_a_runtime_folder_the_sockets_lie_in_the_home() -> None:
    assert run_dir(Path("/srv/a"), {}) == Path("/srv/a/run")
    assert run_dir(Path("/srv/a"), {"XDG_RUNTIME_DIR": "odd"}) == Path("/srv/a/run")
    assert control_socket({"SALLY_HOME": "/srv/a"}) == Path("/srv/a/run/control.sock")
