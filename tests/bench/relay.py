#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The relay beside nginx on the same tree in the same run, and ten thousand agents through it.

    tests/bench/relay.py [OPTION]...

Both serve one repository over loopback; wrk asks them by turns, ROUNDS times SECONDS each, and what
counts is the median of the ratios within a round. nginx has a worker for each core and sendfile, no
log, and no cache of open files: with one it would go on serving a timestamp that was replaced. Then
AGENTS simulated agents (bench_agents), each new, update through the relay and poll once more; the
relay's own memory is looked at all the while.

Prints each figure beside its goal; the exit status is 1 when an agent fails, and 0 otherwise, since
times of busy machines prove nothing.
"""
import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from measure import machine
from wire import Repository

UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "B": 1}
# name, what wrk looks at, connections, goal (ratio)
SCENES = [("poll, unchanged (304)", "rate", 64, 0.5), ("poll, changed (200)", "rate", 64, 0.5),
          ("next root (404)", "rate", 64, 0.5), ("small object", "rate", 64, 0.5),
          ("large object", "bytes", 8, 0.8)]


def tell(line):
    print(line, flush=True)


def make_relay(options, top, large):
    """A repository of a component with a large bundle and of one with a small one, in a store's
    relay folder; the store."""
    state = os.path.join(top, "state")
    os.makedirs(state)
    repository = Repository(options.build, os.path.join(top, "repo"))
    for name, size in (("large", large), ("small", 6000)):
        os.mkdir(os.path.join(top, name))
        with open(os.path.join(top, name, "blob"), "wb") as file:
            file.write(os.urandom(size))
        repository.run("--level", "1", "add-release", name, "1", os.path.join(top, name))
    shutil.copytree(repository.folder, os.path.join(state, "relay"))
    return state


def objects(repo):
    """Paths of the smallest and the largest object."""
    found = []
    for folder, _, names in os.walk(os.path.join(repo, "objects")):
        found += [os.path.join(folder, name) for name in names]
    found.sort(key=os.path.getsize)
    return [os.path.relpath(found[i], repo) for i in (0, -1)]


def start_nginx(top, repo):
    """The process and its URL."""
    port = 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open(os.path.join(top, "nginx.conf"), "w", encoding="ascii") as conf:
        conf.write(f"""{'user root;' if os.geteuid() == 0 else ''}
worker_processes auto; worker_rlimit_nofile 16384; daemon off; pid {top}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  default_type application/octet-stream; client_body_temp_path t1; proxy_temp_path t2;
  fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {repo}; }}
}}
""")
    server = subprocess.Popen(["nginx", "-p", top, "-c", "nginx.conf", "-e", "error.log"],
                              stdin=subprocess.DEVNULL)
    return server, f"http://127.0.0.1:{port}/"


def start_relay(options, state):
    server = subprocess.Popen([os.path.join(options.build, "agent", "defupd-relay"), "--state-dir",
                               state, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server, server.stdout.readline().split()[-1]


def answer(url):
    """Status and ETag."""
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                reply.read()
                return reply.status, reply.headers["ETag"]
        except urllib.error.HTTPError as error:
            return error.code, None
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} cannot be had")


def wrk(options, url, connections, header=None):
    """Requests and bytes per second."""
    command = ["wrk", "-t1", "--timeout", "60s", f"-c{connections}", f"-d{options.seconds}s", url]
    if header:
        command[1:1] = ["-H", header]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    if "Socket errors" in out:
        raise SystemExit(out)
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1))
    size, unit = re.search(r"Transfer/sec:\s+([0-9.]+)(\w+)", out).groups()
    return rate, float(size) * UNITS[unit]


def cpu_s(server):
    """User and system time of a process and its children so far."""
    pids, ticks = [server.pid], 0
    with open(f"/proc/{server.pid}/task/{server.pid}/children", encoding="ascii") as file:
        pids += [int(pid) for pid in file.read().split()]
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def compare(options, servers, small, large):
    """Each scene by turns; the figures."""
    paths = ["metadata/timestamp.json", "metadata/timestamp.json", "metadata/2.root.json", small, large]
    figures = []
    for (name, what, connections, goal), path in zip(SCENES, paths):
        results = {who: [] for who in servers}
        cpu = {who: 0.0 for who in servers}
        for turn in range(options.rounds):
            order = list(servers)
            for who in order if turn % 2 == 0 else order[::-1]:
                server, url = servers[who]
                status, etag = answer(url + path)
                if status != (404 if "404" in name else 200):
                    raise SystemExit(f"{who}: {path}: {status}")
                before = cpu_s(server)
                got = wrk(options, url + path, connections,
                          f"If-None-Match: {etag}" if "304" in name else None)
                cpu[who] += (cpu_s(server) - before) / (got[0] * options.seconds)
                results[who].append(got[0] if what == "rate" else got[1])
        ratios = [a / b for a, b in zip(results["relay"], results["nginx"])]
        figure = {"name": name, "unit": "requests/s" if what == "rate" else "bytes/s", "goal": goal,
                  "ratio": statistics.median(ratios), "ratios": ratios,
                  "cpu_us_per_request": {who: 1e6 * cpu[who] / options.rounds for who in servers}}
        for who in servers:
            figure[who] = statistics.median(results[who])
        figures.append(figure)
        scale, unit = (1, "/s") if what == "rate" else (1e6, "MB/s")
        tell(f"{name:24} relay {figure['relay'] / scale:9.0f} {unit:5} nginx "
             f"{figure['nginx'] / scale:9.0f} {unit:5} ratio {figure['ratio']:.2f} "
             f"({min(ratios):.2f} to {max(ratios):.2f})   goal at least {goal}: "
             f"{'PASS' if figure['ratio'] >= goal else 'under'}; CPU per request "
             f"{figure['cpu_us_per_request']['relay']:.1f} and "
             f"{figure['cpu_us_per_request']['nginx']:.1f} us")
    return figures


def memory(pid):
    """Bytes of the process's own memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1)) * 1024


def simulate(options, server, url, repo, top):
    """Agents through the relay; the figures."""
    work = os.path.join(top, "agents")
    os.mkdir(work)
    samples = [memory(server.pid)]
    begin = time.monotonic()
    with subprocess.Popen([os.path.join(options.build, "tests", "bench", "bench_agents"),
                           str(options.agents), str(options.threads), url,
                           os.path.join(repo, "metadata", "1.root.json"), work],
                          stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as agents:
        line = "done 0 failed 0"
        for line in agents.stdout:
            samples.append(memory(server.pid))
    wall = time.monotonic() - begin
    done, failed = int(line.split()[1]), int(line.split()[3])
    tell(f"{done} of {options.agents} agents updated and polled in {wall:.0f} s, {options.threads} at a time: "
         f"{failed} failed   goal 0: {'PASS' if failed == 0 and agents.returncode == 0 else 'over'}")
    tell("own memory of the relay: before {:.1f} MiB, after the first twentieth {:.1f}, in the end {:.1f}"
         .format(*(value / (1 << 20) for value in (samples[0], samples[min(1, len(samples) - 1)],
                                                   samples[-1]))))
    return {"agents": options.agents, "threads": options.threads, "wall_s": wall, "failed": failed,
            "exit": agents.returncode, "rss_anon": samples}


def end(server):
    server.terminate()
    server.wait()


def beside_nginx(options, top):
    state = make_relay(options, top, options.large)
    repo = os.path.join(state, "relay")
    running = {"relay": start_relay(options, state)}
    try:
        running["nginx"] = start_nginx(top, repo)
        return compare(options, running, *objects(repo))
    finally:
        for server, _ in running.values():
            end(server)


def with_agents(options, top):
    state = make_relay(options, top, options.bundle)
    server, url = start_relay(options, state)
    try:
        return simulate(options, server, url, os.path.join(state, "relay"), top)
    finally:
        end(server)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="where the programs were built")
    parser.add_argument("--work", help="folder for what is made (default: a temporary one)")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--large", type=int, default=20000000, help="bytes of the large object")
    parser.add_argument("--bundle", type=int, default=100000, help="bytes of what agents install")
    parser.add_argument("--agents", type=int, default=10000)
    parser.add_argument("--threads", type=int, default=16, help="agents at a time")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    for need in ("nginx", "wrk"):
        if options.rounds > 0 and shutil.which(need) is None:
            sys.exit(f"{need} is not here (packages: list bench)")
    with tempfile.TemporaryDirectory(prefix="defupd-bench-", dir=options.work) as top:
        figures = {"machine": machine(top), "seconds": options.seconds, "rounds": options.rounds}
        if options.rounds > 0:
            figures["compared"] = beside_nginx(options, os.path.join(top, "compare"))
        if options.agents > 0:
            figures["agents"] = with_agents(options, os.path.join(top, "many"))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    sys.exit(1 if figures.get("agents", {}).get("exit", 0) else 0)


main()
