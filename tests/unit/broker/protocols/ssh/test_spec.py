"""What SSH tells of itself."""

import subprocess
import sys

from broker.protocols.ssh.spec import SPEC


def test_the_description_names_the_listener_and_does_not_load_it() -> None:
    assert SPEC.listener == "broker.protocols.ssh.listener:SshListener"
    code = "import sys; import broker.protocols.ssh.spec; print('asyncssh' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_files_are_offered_by_direction() -> None:
    assert SPEC.channels == ("shell", "exec", "file_upload", "file_download")
