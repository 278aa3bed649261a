"""An agent of a day: it turns on what Claude Code turns on in a terminal, commits, and takes what is pasted."""

import os
import subprocess
import sys
import tty


def sh(script):
    subprocess.run(script, shell=True, check=True)


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


tty.setraw(0)
say("\x1b[>1u\x1b[?2004h")
sh("echo two >>one; git commit -qam two")
say("BEGUN\r\n")
got = b""
while not got.endswith(b"q"):
    got += os.read(0, 4096)
    if got.endswith(b"\x1b[201~"):
        pasted = got.split(b"\x1b[200~")[1].split(b"\x1b[201~")[0]
        sh("echo three >>one; git commit -qam three; echo note >note")
        say("PASTED %d LINES AT ONCE\r\n" % len(pasted.replace(b"\r", b"\n").split(b"\n")))
        got = b""
say("\x1b[?2004l\x1b[<u")
