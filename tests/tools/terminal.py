#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py ANSWERS COMMAND...: run a command on a terminal of its own.

ANSWERS, separated by |, are typed one after the other at prompts for the passphrase of a FILE.pem;
the answer ^C is the interrupt key. What the terminal showed goes to standard output, followed by
"[echo]" or "[no echo]": how the command left it. Exits as the command did, with 128 + N for a signal.
"""
import os
import pty
import select
import sys
import termios

answers, command = [a for a in sys.argv[1].split("|") if a], sys.argv[2:]
master, slave = pty.openpty()
pid = os.fork()
if pid == 0:
    os.close(master)
    os.login_tty(slave)
    os.execvp(command[0], command)

said = b""
while True:
    ready = select.select([master], [], [], 0.05)[0]
    if ready:
        said += os.read(master, 1000)
        if answers and said.rstrip().endswith(b".pem:"):
            answer = answers.pop(0)
            os.write(master, b"\x03" if answer == "^C" else answer.encode() + b"\n")
            said += b"[answered]"  # so that the prompt's last blank is not taken for another
        continue
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        break
while select.select([master], [], [], 0)[0]:
    said += os.read(master, 1000)
echo = termios.tcgetattr(slave)[3] & termios.ECHO
sys.stdout.buffer.write(said + (b"\n[echo]\n" if echo else b"\n[no echo]\n"))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
