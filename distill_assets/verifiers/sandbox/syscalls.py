"""Which system calls a confined process has, as a seccomp filter.

Belongs here: the allow-list for x86_64 and its translation into the kernel's filter language. Does not belong here:
installing it (confinement). Stands alone on the standard library; the server and the SQL worker load it by path.

What is not listed gives ENOSYS, so that the C library falls back on older calls. What an honest program may try gives
EPERM. What only an attack needs kills the process. Another architecture than x86_64 (also i386 and x32 calls made
from a 64-bit process) is killed.

Source: numbers from arch/x86/entry/syscalls/syscall_64.tbl of Linux; filter format from linux/filter.h and linux/seccomp.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MACHINE = "x86_64"
AUDIT_ARCH = 0xC000003E
X32_BIT = 0x40000000

KILL = 0x80000000
ALLOW = 0x7FFF0000
NOTIFY = 0x7FC00000
ERRNO = 0x00050000
EPERM = ERRNO | 1
ENOSYS = ERRNO | 38

ALLOWED = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17,
    "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24, "mremap": 25,
    "msync": 26, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35, "getitimer": 36, "alarm": 37,
    "setitimer": 38, "getpid": 39, "sendfile": 40, "recvfrom": 45, "shutdown": 48, "getsockname": 51, "getpeername": 52,
    "getsockopt": 55, "exit": 60, "wait4": 61, "uname": 63, "flock": 73, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
    "getdents": 78, "getcwd": 79, "chdir": 80, "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85,
    "unlink": 87, "readlink": 89, "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99,
    "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111,
    "getgroups": 115, "getresuid": 118, "getresgid": 120, "getpgid": 121, "getsid": 124, "capget": 125,
    "rt_sigpending": 127, "rt_sigtimedwait": 128, "rt_sigsuspend": 130, "sigaltstack": 131, "statfs": 137, "fstatfs": 138,
    "getpriority": 140, "setrlimit": 160, "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204,
    "epoll_create": 213, "getdents64": 217, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "waitid": 247, "openat": 257,
    "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264, "readlinkat": 267, "faccessat": 269,
    "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "epoll_pwait": 281, "eventfd": 284, "eventfd2": 290,
    "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295, "pwritev": 296, "getcpu": 309, "renameat2": 316,
    "getrandom": 318, "preadv2": 327, "pwritev2": 328, "statx": 332, "rseq": 334, "close_range": 436, "faccessat2": 439,
    "epoll_pwait2": 441,
}  # fmt: skip

# What an honest program may try: it sees PermissionError.
REFUSED = {
    "socket": 41, "connect": 42, "accept": 43, "sendmsg": 46, "recvmsg": 47, "bind": 49, "listen": 50, "setsockopt": 54,
    "fork": 57, "vfork": 58, "execve": 59, "truncate": 76, "link": 86, "symlink": 88, "chmod": 90, "fchmod": 91,
    "chown": 92, "fchown": 93, "lchown": 94, "setuid": 105, "setgid": 106, "setpgid": 109, "setsid": 112, "setgroups": 116,
    "setresuid": 117, "setresgid": 119, "rt_sigqueueinfo": 129, "utime": 132, "mknod": 133, "setpriority": 141,
    "sched_setparam": 142, "sched_setscheduler": 144, "sync": 162, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "tkill": 200, "sched_setaffinity": 203, "clock_settime": 227, "utimes": 235, "mknodat": 259, "fchownat": 260,
    "futimesat": 261, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "utimensat": 280, "fallocate": 285,
    "accept4": 288, "rt_tgsigqueueinfo": 297, "recvmmsg": 299, "sendmmsg": 307, "memfd_create": 319, "execveat": 322,
    "fchmodat2": 452,
}  # fmt: skip

# What only an attack needs: the process is killed.
DEADLY = {
    "ptrace": 101, "modify_ldt": 154, "pivot_root": 155, "chroot": 161, "acct": 163, "mount": 165, "umount2": 166,
    "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
    "init_module": 175, "delete_module": 176, "quotactl": 179, "kexec_load": 246, "add_key": 248, "request_key": 249,
    "keyctl": 250, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "finit_module": 313, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442,
}  # fmt: skip

CLONE_THREAD = 0x10000
SOCK_TYPE_MASK, SOCK_STREAM, AF_UNIX = 0xF, 1, 1
IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
PRCTLS = (15, 16)  # PR_SET_NAME PR_GET_NAME
# DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW, open-file-description locks, DUPFD_CLOEXEC GETPIPE_SZ GET_SEALS
FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032, 1034)
WRITING = 0x3 | 0x40 | 0x200 | 0x400000  # O_WRONLY|O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE
OPENING = {"openat": (257, 2), "open": (2, 1)}  # number, index of the flags
MAKING = {"mkdir": 83, "creat": 85, "mkdirat": 258}

# Instruction codes: load a word, jumps on equal / greater-or-equal / set bits / always, bitwise and, return.
LOAD, JEQ, JGE, JSET, JUMP, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x05, 0x54, 0x06
NR, ARCH, ARGS = 0, 4, 16
Instruction = tuple[int, int, int, int]


def allow_list(pid: int) -> bytes:
    """The filter of a confined process with the id `pid` (signals go to itself alone), as instructions of 8 bytes."""
    plain = dict.fromkeys(ALLOWED.values(), ALLOW)
    plain |= dict.fromkeys(REFUSED.values(), EPERM) | dict.fromkeys(DEADLY.values(), KILL)
    cases: dict[int, int | list[Instruction]] = {**plain, **_conditions(pid)}
    return _assemble([*_checked_machine(), *_search(sorted(cases.items()))])


def write_watch() -> bytes:
    """A filter that asks its listener about everything that opens for writing or makes a file or folder."""
    cases: dict[int, int | list[Instruction]] = dict.fromkeys(MAKING.values(), NOTIFY)
    for number, index in OPENING.values():
        cases[number] = [(LOAD, 0, 0, _argument(index)), (JSET, 0, 1, WRITING), *_give(NOTIFY), *_give(ALLOW)]
    return _assemble([*_checked_machine(), *_search(sorted(cases.items()), otherwise=ALLOW)])


def _conditions(pid: int) -> dict[int, list[Instruction]]:
    """System calls that are allowed with some arguments only."""
    only_socketpair = [
        (LOAD, 0, 0, _argument(0)), (JEQ, 1, 0, AF_UNIX), *_give(EPERM),
        (LOAD, 0, 0, _argument(1)), (AND, 0, 0, SOCK_TYPE_MASK), (JEQ, 0, 1, SOCK_STREAM), *_give(ALLOW), *_give(EPERM),
    ]  # fmt: skip
    only_thread = [(LOAD, 0, 0, _argument(0)), (JSET, 0, 1, CLONE_THREAD), *_give(ALLOW), *_give(EPERM)]
    no_address = [
        (LOAD, 0, 0, _argument(4)), (JEQ, 1, 0, 0), *_give(EPERM),
        (LOAD, 0, 0, _argument(4) + 4), (JEQ, 0, 1, 0), *_give(ALLOW), *_give(EPERM),
    ]  # fmt: skip
    return {
        16: _one_of(1, IOCTLS), 44: no_address, 53: only_socketpair, 56: only_thread, 62: _one_of(0, (pid,)),
        72: _one_of(1, FCNTLS), 157: _one_of(0, PRCTLS), 234: _one_of(0, (pid,)), 302: _one_of(0, (0, pid)),
    }  # fmt: skip


def _one_of(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow when the low word of argument `index` is one of `values`; the kernel takes these arguments as 32 bits."""
    checks = [(JEQ, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [(LOAD, 0, 0, _argument(index)), *checks, *_give(EPERM), *_give(ALLOW)]


def _argument(index: int) -> int:
    return ARGS + 8 * index


def _give(action: int) -> list[Instruction]:
    return [(RETURN, 0, 0, action)]


def _checked_machine() -> list[Instruction]:
    return [
        (LOAD, 0, 0, ARCH), (JEQ, 1, 0, AUDIT_ARCH), *_give(KILL),
        (LOAD, 0, 0, NR), (JGE, 0, 1, X32_BIT), *_give(KILL),
    ]  # fmt: skip


def _search(cases: list[tuple[int, int | list[Instruction]]], otherwise: int = ENOSYS) -> list[Instruction]:
    """A binary search over sorted (number, action): the kernel evaluates a new filter for every number once."""
    segments: list[tuple[int, int | list[Instruction]]] = []
    for first, action in _segments(cases, otherwise):
        if not segments or segments[-1][1] != action:
            segments.append((first, action))
    return _tree(segments)


def _segments(cases: list[tuple[int, int | list[Instruction]]], otherwise: int) -> Iterator[tuple[int, int | list[Instruction]]]:
    free = 0
    for number, action in cases:
        if number > free:
            yield free, otherwise
        yield number, action
        free = number + 1
    yield free, otherwise


def _tree(segments: list[tuple[int, int | list[Instruction]]]) -> list[Instruction]:
    if len(segments) == 1:
        action = segments[0][1]
        return _give(action) if isinstance(action, int) else action
    middle = len(segments) // 2
    left, right = _tree(segments[:middle]), _tree(segments[middle:])
    return [(JGE, 0, 1, segments[middle][0]), (JUMP, 0, 0, len(left)), *left, *right]


def _assemble(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
