# SPDX-License-Identifier: Apache-2.0
"""Running programs and saying what they cost. For the scripts of this folder.

Wall time is from before the start until the process was waited for. CPU is user and system time of
the process and of the children it waited for (wait4). Memory is RssAnon and VmHWM of
/proc/PID/status, sampled every 2 ms while it runs: of the process itself, and RssAnon can be missed
by what lives shorter than that; VmHWM is kept by the kernel, and holds mapped files too.
"""
import os
import platform
import signal
import statistics
import subprocess
import threading
import time

SAMPLE_S = 0.002


class Failed(Exception):
    """A program that should have worked did not."""


class TooLong(Failed):
    """It was ended because it took longer than it may."""


class Cost:
    """What one step cost: seconds, and bytes of memory."""

    def __init__(self, wall=0.0, cpu=0.0, anon=0, hwm=0):
        self.wall, self.cpu, self.anon, self.hwm = wall, cpu, anon, hwm

    def then(self, other):
        """One step after another."""
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.anon, other.anon),
                    max(self.hwm, other.hwm))

    def plain(self):
        return {"wall_s": round(self.wall, 5), "cpu_s": round(self.cpu, 5),
                "rss_anon": self.anon, "vm_hwm": self.hwm}


def middle(costs):
    """Medians of times, the highest of memory."""
    cost = Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs),
                max(c.anon for c in costs), max(c.hwm for c in costs)).plain()
    cost["runs"] = len(costs)
    cost["walls_s"] = [round(c.wall, 5) for c in costs]
    return cost


def _sample(pid, ended, peak):
    """Peaks of RssAnon and VmHWM until the process is gone."""
    path = f"/proc/{pid}/status"
    while not ended.is_set():
        try:
            with open(path, "rb", buffering=0) as file:
                status = file.read()
        except OSError:
            return
        for i, word in enumerate((b"RssAnon:", b"VmHWM:")):
            at = status.find(word)
            if at >= 0:
                peak[i] = max(peak[i], int(status[at + len(word):].split(None, 1)[0]) * 1024)
        ended.wait(SAMPLE_S)


def run(argv, cwd=None, stdin=os.devnull, stdout=subprocess.DEVNULL, limit=None, accept=(0,)):
    """Run a program to its end; its Cost. Failed, with what it said, when it did not work. `stdin`
    is a file's name."""
    with open(stdin, "rb") as lines:
        return _run(argv, cwd, lines, stdout, limit, accept)


def _run(argv, cwd, stdin, stdout, limit, accept):
    ended, peak = threading.Event(), [0, 0]
    begin = time.perf_counter()
    # A new group, so that what it started ends with it.
    with subprocess.Popen(argv, cwd=cwd, stdin=stdin, stdout=stdout,
                          stderr=subprocess.PIPE, start_new_session=True) as process:
        said = []
        reader = threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True)
        reader.start()
        sampler = threading.Thread(target=_sample, args=(process.pid, ended, peak), daemon=True)
        sampler.start()
        late = []
        timer = None
        if limit is not None:
            def end():
                late.append(True)
                os.killpg(process.pid, signal.SIGKILL)
            timer = threading.Timer(limit, end)
            timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        sampler.join()
        reader.join()
    if late:
        raise TooLong(f"more than {limit:.0f} s")
    if process.returncode not in accept:
        text = said[0].decode(errors="replace").strip().splitlines()
        raise Failed(f"{os.path.basename(argv[0])} ended with {process.returncode}: "
                     f"{text[-1] if text else 'nothing said'}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, *peak)


def first_line(argv):
    """What a program prints first, for versions; "" when it cannot be had."""
    try:
        out = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=20,
                             stderr=subprocess.STDOUT, check=False).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    return lines[0] if lines else ""


def package_version(package):
    """Debian's version of an installed package, or ""."""
    out = first_line(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", package])
    words = out.split()
    return words[1] if len(words) == 2 and words[0] == "installed" else ""


def machine(work):
    """Where this ran."""
    model, memory, system = "", 0, ""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) * 1024
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("PRETTY_NAME="):
                system = line.split("=", 1)[1].strip().strip('"')
    return {"cpu": model, "cores": os.cpu_count(), "memory": memory, "system": system,
            "kernel": platform.release(), "file_system": file_system(work),
            "load": round(os.getloadavg()[0], 1),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def file_system(path):
    """The type of the file system that holds a path."""
    path, best, kind = os.path.realpath(path), "", ""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            where, what = line.split()[1:3]
            inside = path == where or path.startswith(where.rstrip("/") + "/")
            if inside and len(where) >= len(best):
                best, kind = where, what
    return kind


def size_text(count):
    return f"{count:,}"


def mib(count):
    return f"{count / 1048576:.1f}"
