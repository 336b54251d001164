# Makes a TrueCrypt volume by tcplay, with nothing inside. Argument: DEVICE; the passphrase follows on standard input.
# tcplay asks on a terminal, and forgets what was typed before it asked.
# shellcheck shell=bash
IFS= read -r passphrase
export passphrase
python3 - tcplay -c -z -w -d "$1" >&2 << 'END_OF_PYTHON'
import os
import pty
import sys
import time

answers = [os.environ["passphrase"], os.environ["passphrase"], "y"]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""
while True:
    try:
        said += os.read(terminal, 1000)
    except OSError:  # it has ended
        break
    if answers and said.rstrip().endswith((b":", b"(y/n)")):
        time.sleep(0.5)
        os.write(terminal, answers.pop(0).encode() + b"\n")
        said += b"\n"
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END_OF_PYTHON
sync # the target reads the disk beside this host's cache
blockdev --flushbufs "$1"
finish
# end of script
