#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The walls of a systemd unit, built by hand where no systemd runs.

    walls.py UNIT SETS BUILD WORK STATE UID COMMAND...

SETS is the output of `systemd-analyze syscall-filter`. In a mount name space of its own the folder
BUILD is /srv/build, WORK is /srv/here; everything is read-only but STATE, a folder in WORK, and a
private /tmp. COMMAND runs in /srv/here. Each setting of the unit's [Service] either has a wall here
or a reason to have none; any other ends this with 99, so that a new one is not passed over.
"""
import ctypes
import errno
import os
import resource
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SECCOMP = ctypes.CDLL("libseccomp.so.2", use_errno=True)
SECCOMP.seccomp_init.restype = ctypes.c_void_p
CAPABILITIES = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
NAMESPACES = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80]
SUID, SGID = 0o4000, 0o2000
RDONLY, BIND, MOVE, REC, PRIVATE = 1, 4096, 8192, 16384, 1 << 18
NE, LT, EQ, GT, MASKED = 1, 2, 4, 6, 7
ALLOW = 0x7FFF0000


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


def die(text):
    print(f"walls: {text}", file=sys.stderr)
    sys.exit(99)


def must(result, what):
    if result != 0:
        die(f"{what}: {os.strerror(ctypes.get_errno() or -result)}")


def deny(code):
    return 0x00050000 | code


class Filter:
    """System calls by name; loaded ones add up."""

    def __init__(self, default):
        self.context = ctypes.c_void_p(SECCOMP.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action, name, *compares):
        number = SECCOMP.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # of another architecture or a newer kernel
            return
        array = (Compare * max(len(compares), 1))(*compares)
        must(SECCOMP.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number,
                                            len(compares), array), f"rule for {name}")

    def load(self):
        must(SECCOMP.seccomp_load(self.context), "filter")


def bits(arg, mask, value=None):
    return Compare(arg, MASKED, mask, mask if value is None else value)


# --- file systems ---

def mount(source, target, kind=None, flags=0, data=None):
    must(LIBC.mount(source.encode(), target.encode(), kind.encode() if kind else None,
                    ctypes.c_ulong(flags), data.encode() if data else None), f"mount {target}")


def read_only(path, on, recursive):
    class Attributes(ctypes.Structure):
        _fields_ = [("set", ctypes.c_uint64), ("clear", ctypes.c_uint64),
                    ("propagation", ctypes.c_uint64), ("userns", ctypes.c_uint64)]
    change = Attributes(1 if on else 0, 0 if on else 1, 0, 0)
    must(LIBC.syscall(442, -100, path.encode(), 0x8000 if recursive else 0, ctypes.byref(change),
                      ctypes.sizeof(change)), f"{path} read-only")


def file_systems(build, work, state):
    must(LIBC.unshare(0x20000), "unshare")
    mount("none", "/", flags=REC | PRIVATE)
    folders = {name: os.open(name, os.O_PATH) for name in (build, work)}
    mount("none", "/srv", "tmpfs", data="mode=755")
    for name, source in (("build", build), ("here", work)):
        os.mkdir("/srv/" + name)
        mount(f"/proc/self/fd/{folders[source]}", "/srv/" + name, flags=BIND)
        os.close(folders[source])
    os.mkdir("/srv/dev")
    mount("none", "/srv/dev", "tmpfs", data="mode=755")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):  # PrivateDevices
        os.close(os.open("/srv/dev/" + name, os.O_CREAT, 0o644))
        mount("/dev/" + name, "/srv/dev/" + name, flags=BIND)
    os.symlink("/proc/self/fd", "/srv/dev/fd")
    mount("/srv/dev", "/dev", flags=MOVE)
    os.chdir("/srv/here")
    mount(state, state, flags=BIND)
    mount("none", "/proc", "proc", data="hidepid=invisible")  # ProtectProc
    read_only("/", True, True)  # ProtectSystem=strict, and what is in /sys and /proc
    read_only(state, False, False)
    for path in ("/tmp", "/var/tmp"):
        mount("none", path, "tmpfs", data="mode=1777")
    for path in ("/home", "/root", "/run/user"):
        if os.path.isdir(path):
            mount("none", path, "tmpfs", RDONLY, "mode=0")


# --- rights and limits ---

def capabilities(keep, uid):
    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    class Data(ctypes.Structure):
        _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32),
                    ("inheritable", ctypes.c_uint32)]
    mask = sum(1 << number for number in keep)
    for number in range(64):
        if number not in keep:
            LIBC.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP
    LIBC.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    data = (Data * 2)(Data(mask, mask, mask), Data(0, 0, 0))
    must(LIBC.capset(ctypes.byref(Header(0x20080522, 0)), data), "capset")
    for number in keep:
        must(LIBC.prctl(47, 2, number, 0, 0), "ambient")


def size(text):
    return int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]


# --- filters ---

def expand(words, sets):
    names = set()
    for word in words:
        names |= expand(sets[word], sets) if word.startswith("@") else {word}
    return names


def read_sets(path):
    sets, current = {}, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            word = line.strip()
            if not word or word.startswith("#"):
                continue
            if not line.startswith(" "):
                current = sets.setdefault(word, [])
            else:
                current.append(word)
    return sets


def load_filters(unit, sets):
    families = {FAMILIES[name] for name in unit["RestrictAddressFamilies"][0].split()}
    part = Filter(ALLOW)
    for family in set(range(64)) - families:
        part.rule(deny(errno.EAFNOSUPPORT), "socket", Compare(0, EQ, family, 0))
    part.rule(deny(errno.EAFNOSUPPORT), "socket", Compare(0, GT, 63, 0))
    part.load()
    part = Filter(ALLOW)  # MemoryDenyWriteExecute
    part.rule(deny(errno.EPERM), "mmap", bits(2, 6))
    for name in ("mprotect", "pkey_mprotect"):
        part.rule(deny(errno.EPERM), name, bits(2, 4))
    part.rule(deny(errno.EPERM), "shmat", bits(2, 0o100000))
    part.load()
    part = Filter(ALLOW)  # RestrictNamespaces
    for flag in NAMESPACES:
        for name in ("clone", "unshare"):
            part.rule(deny(errno.EPERM), name, bits(0, flag))
    part.rule(deny(errno.EPERM), "setns")
    part.rule(deny(errno.ENOSYS), "clone3")
    part.load()
    part = Filter(ALLOW)  # RestrictSUIDSGID
    for mode in (SUID, SGID):
        for name, arg in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2),
                          ("mkdir", 1), ("mkdirat", 2), ("mknod", 1), ("mknodat", 2), ("creat", 1)):
            part.rule(deny(errno.EPERM), name, bits(arg, mode))
        part.rule(deny(errno.EPERM), "open", bits(1, os.O_CREAT), bits(2, mode))
        part.rule(deny(errno.EPERM), "openat", bits(2, os.O_CREAT), bits(3, mode))
    part.rule(deny(errno.ENOSYS), "openat2")
    part.load()
    part = Filter(ALLOW)  # RestrictRealtime, LockPersonality
    for policy in (1, 2, 6):
        part.rule(deny(errno.EPERM), "sched_setscheduler", Compare(1, EQ, policy, 0))
    part.rule(deny(errno.EPERM), "personality", Compare(0, NE, LIBC.personality(0xffffffff), 0))
    part.load()
    allowed = set()
    for line in unit["SystemCallFilter"]:
        names = expand(line.lstrip("~").split(), sets)
        allowed = allowed - names if line.startswith("~") else allowed | names
    part = Filter(deny(getattr(errno, unit["SystemCallErrorNumber"][0])))
    for name in sorted(allowed):
        part.rule(ALLOW, name)
    part.load()


# Settings that say what runs, when, and as whom; and the walls above, each with the value it has.
NO_WALL = {"Type", "NotifyAccess", "ExecStart", "ExecReload", "WatchdogSec", "Restart", "RestartSec",
           "RestartPreventExitStatus", "KillMode", "TimeoutStopSec", "User", "Group", "UMask",
           "StateDirectory", "StateDirectoryMode", "Nice", "IOSchedulingClass",
           "IOSchedulingPriority", "RemoveIPC"}
WALLS = {"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
         "PrivateDevices": "yes", "ProtectProc": "invisible", "NoNewPrivileges": "yes",
         "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes", "RestrictNamespaces": "yes",
         "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
         "MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native",
         # no capability for these is left, and no system call
         "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes", "ProtectClock": "yes",
         "ProtectHostname": "yes"}
VALUES = {"AmbientCapabilities", "CapabilityBoundingSet", "RestrictAddressFamilies",
          "SystemCallFilter", "SystemCallErrorNumber", "MemoryMax", "TasksMax", "LimitCORE"}


def read_unit(path):
    unit, section = {}, ""
    with open(path, encoding="utf-8") as file:
        for line in map(str.strip, file):
            if line.startswith("["):
                section = line
            elif line and not line.startswith("#") and section == "[Service]":
                name, _, value = line.partition("=")
                if name not in NO_WALL and name not in VALUES and WALLS.get(name) != value:
                    die(f"no wall for {line}")
                unit.setdefault(name, []).append(value)
    for name in list(WALLS) + list(VALUES):
        if name not in unit:
            die(f"the unit has no {name}")
    return unit


def main():
    unit, sets = read_unit(sys.argv[1]), read_sets(sys.argv[2])
    uid, command = int(sys.argv[6]), sys.argv[7:]
    bound = [CAPABILITIES[name] for name in unit["CapabilityBoundingSet"][0].split()]
    file_systems(*sys.argv[3:6])
    # No cgroup here: data is what counts against MemoryMax, and more than that.
    data, tasks = size(unit["MemoryMax"][0]), int(unit["TasksMax"][0])
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o022)
    capabilities([CAPABILITIES[name] for name in unit["AmbientCapabilities"][0].split()
                  if CAPABILITIES[name] in bound], uid)
    must(LIBC.prctl(38, 1, 0, 0, 0), "no new privileges")
    load_filters(unit, sets)
    os.execv(command[0], command)


main()
