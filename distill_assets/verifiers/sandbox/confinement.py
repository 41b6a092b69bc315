"""What a process gives up before it runs untrusted code: files, system calls, privileges, memory.

Belongs here: one function for each thing that is given up, as the kernel offers it. Does not belong here: which system
calls are allowed (syscalls) or the order in which a server does all this (server). Stands alone on the standard library.

Each function raises OSError when the kernel refuses: nothing is given up by halves in silence.

Source: man pages landlock(7), seccomp(2), capabilities(7), prctl(2); linux/landlock.h for the bits of each ABI.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable, Mapping

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS = 1, 4, 8, 38
SYS_SECCOMP = 317
SECCOMP_SET_MODE_FILTER, NEW_LISTENER = 1, 8
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION = 1  # flag of LANDLOCK_CREATE: give the ABI
RULE_PATH_BENEATH = 1

WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV = 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, REFER = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 13
FILE_BITS = WRITE_FILE | READ_FILE | TRUNCATE
SCRATCH_BITS = FILE_BITS | READ_DIR | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER
BITS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
NET_BITS, SCOPE_BITS = 0b11, 0b11  # TCP bind and connect (ABI 4); abstract sockets and signals (ABI 6)

CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522
INTERPRETER_BYTES = 64 << 20
FREE_UID = 1_900_000_000  # above every range that users, services and containers are given


# Keeps the interpreter's lock during the call, so that the new process holds it too.
FORK = ctypes.PyDLL(None).fork


def fork() -> int:
    """Fork this process, which must have no second thread; 0 in the new one.

    Not os.fork: what that does for locks and threads of a process that has several costs 0.4 ms here, a
    quarter of a short run, and seeds `random` anew.
    """
    return _checked(FORK(), "fork")


def landlock_abi() -> int:
    """The version of Landlock that this kernel offers; 0 for none."""
    return max(0, LIBC.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(LANDLOCK_VERSION)))


def build_ruleset(read: Iterable[str], names: Iterable[str] = (), write: Iterable[str] = (), scratch: str | None = None) -> int:
    """Make a Landlock ruleset that refuses every file but these; return its descriptor.

    Args:
        read: files and folders that may be read. names: folders in which names may be looked up. write: files that may be read and written, such as /dev/null.
        scratch: folder in which files and folders may be made. Paths that do not exist are passed over.
    """
    abi = landlock_abi()
    handled = BITS_OF_ABI[min(abi, 5)] if abi else 0
    attributes = struct.pack("=QQQ", handled, NET_BITS if abi >= 4 else 0, SCOPE_BITS if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _checked(
        LIBC.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint(0)), "landlock_create_ruleset"
    )
    for path in read:
        _allow(ruleset, path, (READ_FILE | READ_DIR) & handled)
    for path in names:
        _allow(ruleset, path, READ_DIR & handled)
    for path in write:
        _allow(ruleset, path, FILE_BITS & handled)
    if scratch:
        _allow(ruleset, scratch, SCRATCH_BITS & handled)
    return ruleset


def _allow(ruleset: int, path: str, bits: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = os.fstat(beneath).st_mode & 0o170000 == 0o040000
        rule = struct.pack("=Qi", bits if is_folder else bits & FILE_BITS, beneath)
        added = LIBC.syscall(LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
        _checked(added, "landlock_add_rule")
    finally:
        os.close(beneath)


def restrict(ruleset: int) -> None:
    """Enter the ruleset, for ever."""
    _checked(LIBC.syscall(LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0)), "landlock_restrict_self")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install_filter(instructions: bytes, with_listener: bool = False) -> int:
    """Install a seccomp filter; return its listener's descriptor, or 0 without one."""
    program = _Program(len(instructions) // 8, instructions)
    flags = ctypes.c_uint(NEW_LISTENER if with_listener else 0)
    return _checked(LIBC.syscall(SYS_SECCOMP, ctypes.c_uint(SECCOMP_SET_MODE_FILTER), flags, ctypes.byref(program)), "seccomp")


def forbid_privileges() -> None:
    """Nothing that this process starts can gain privileges (a condition for Landlock and seccomp)."""
    _checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")


def hide_from_others() -> None:
    """No other process of this user may look into this one, nor is a core dumped."""
    _checked(LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")


def end_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this signal when the thread that started this process ends; forgotten at a change of user."""
    _checked(LIBC.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0), "PR_SET_PDEATHSIG")


def leave_root(owned: Iterable[str] = ()) -> bool:
    """As root, become a user that owns nothing but the folders `owned`, and keep only the right to read.

    The right to read every file is kept because an interpreter may be installed where root alone can look;
    Landlock says what is read. Returns False where this process is not root or may not change its user: then it
    gives up every capability that it has.
    """
    uid = FREE_UID + os.getpid() % 200_000_000
    if os.geteuid() != 0:
        _keep_capabilities(0)
        return False
    try:
        for folder in owned:
            os.chown(folder, uid, uid)
        _checked(LIBC.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError:
        _keep_capabilities(0)
        return False
    _keep_capabilities(1 << CAP_DAC_READ_SEARCH)
    return True


def drop_capabilities() -> None:
    """Give up every capability and stay the same user, whom the parent may signal without one."""
    _keep_capabilities(0)


def _keep_capabilities(bits: int) -> None:
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    now = ctypes.create_string_buffer(24)
    _checked(LIBC.capget(header, now), "capget")
    permitted = struct.unpack("=6I", now.raw)[1]
    kept = permitted & bits
    _checked(LIBC.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)), "capset")


def limit_resources(limits: Mapping[int, int]) -> None:
    """Set soft and hard limits; where the hard limit is lower already, that stays."""
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def address_space() -> int:
    """Bytes of address space that this process uses now; where no /proc is mounted, about what an interpreter uses."""
    try:
        with open("/proc/self/statm", encoding="ascii") as handle:  # noqa: PTH123 (pathlib is not loaded here)
            return int(handle.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return INTERPRETER_BYTES


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
