#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the agent costs while nothing is to be done: memory, wake-ups, and the CPU of a poll that finds
nothing new.

    tests/bench/idle.py [BUILD] [SECONDS]

Starts an agent on a small repository, lets it update once, and watches it for SECONDS (120) with strace:
first as it is, then with the watchdog of its unit (WATCHDOG_USEC of 180 s, so a sign every 90 s). Then
it orders updates that find nothing new and takes CPU of agent and workers together. Prints each figure
beside its goal; the exit status stays 0.
"""
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 120
DEFUPD, AGENT, PUBLISH = (os.path.join(BUILD, "agent", name)
                          for name in ("defupd", "defupd-agent", "defupd-publish"))
POLLS = 21


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout.decode()}")


def figure(what, value, goal=None, met=None):
    print(f"{what:<44} {value:>12}" + (f"   goal {goal}: {'met' if met else 'MISSED'}" if goal else ""))


def wait_until(what, test, tell=str):
    for _ in range(1200):
        if test():
            return
        time.sleep(0.05)
    sys.exit(f"in vain waited for: {what}: {tell()}")


class Agent:
    def __init__(self, top, **env):
        self.state = os.path.join(top, "state")
        self.log = os.path.join(top, "agent.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [AGENT, "--config", os.path.join(top, "policy.xml"), "--state-dir", self.state],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **env})
        wait_until("the agent's start", lambda: ": ready" in self.said(), self.said)

    def said(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def status(self, name):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(name + r":\s+(\d+)", file.read()).group(1))

    def order(self):
        run(DEFUPD, "--state-dir", self.state, "update")

    def wakeups(self, seconds):
        """Calls of poll(2) that returned while strace looked."""
        trace = self.log + ".strace"
        with subprocess.Popen(["strace", "-f", "-o", trace, "-p", str(self.process.pid)],
                              stderr=subprocess.PIPE) as strace:
            strace.stderr.readline()  # "attached"
            time.sleep(seconds)
            strace.send_signal(signal.SIGINT)
            strace.communicate()
        with open(trace, encoding="utf-8", errors="replace") as lines:
            return sum(bool(re.search(r"(p?poll\(.*|poll resumed.*|restart_syscall.*)= [1-9]", line))
                       for line in lines)

    def stop(self):
        self.process.terminate()
        if self.process.wait() != 0:
            sys.exit("the agent did not end as it should")


def prepare(top):
    tree = os.path.join(top, "tree")
    os.mkdir(tree)
    with open(os.path.join(tree, "list"), "w", encoding="ascii") as file:
        file.write("one\n")
    run(PUBLISH, "--repo", os.path.join(top, "repo"), "init")
    run(PUBLISH, "--repo", os.path.join(top, "repo"), "add-release", "tetra", "1", tree)
    with open(os.path.join(top, "policy.xml"), "w", encoding="ascii") as file:
        file.write(f"""<policy format="1">
  <schedule><interval>PT6H</interval><initial-delay>PT0S</initial-delay></schedule>
  <sources><server><url>file://{top}/repo</url></server></sources>
  <trust><root>{top}/repo/metadata/1.root.json</root></trust>
</policy>
""")


def agent_cpu(agent):
    """Seconds of the agent and of the children it waited for."""
    with open(f"/proc/{agent.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(n) for n in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def main():
    with tempfile.TemporaryDirectory(prefix="defupd-idle-") as top:
        prepare(top)
        agent = Agent(top)
        wait_until("the first update", lambda: "update is done" in agent.said())
        for _ in range(3):
            agent.order()
        rss, anon = agent.status("VmRSS"), agent.status("RssAnon")
        figure("RSS when idle", f"{rss} KiB", "< 8 MiB", rss < 8192)
        figure("of it anonymous", f"{anon} KiB")
        wakes = agent.wakeups(SECONDS)
        figure(f"wake-ups in {SECONDS} s without watchdog", wakes, "0", wakes == 0)
        costs = []
        for _ in range(POLLS):
            start = agent_cpu(agent)
            agent.order()
            wait_until("the worker's end", lambda: not children(agent.process.pid))
            costs.append(agent_cpu(agent) - start)
        figure("CPU of a poll that finds nothing new", f"{statistics.median(costs) * 1000:.0f} ms")
        agent.stop()
        agent = Agent(top, WATCHDOG_USEC="180000000", NOTIFY_SOCKET="@defupd-idle")
        wakes = agent.wakeups(SECONDS)
        most = SECONDS // 90 + 1
        figure(f"wake-ups in {SECONDS} s with watchdog", wakes, f"at most {most}", wakes <= most)
        agent.stop()


main()
