"""A system-call filter of the process's own making (seccomp(2), linux/seccomp.h). Standard library only.

Put on when everything that a daemon needs is open: from then on it can do what serving takes and nothing else. A call
that is not on its list fails with EPERM; starting a program or reaching into another process kills it. Where the
machine's kind is not known here, there is no filter, and `confine` says so.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from spa_knock.link.process import ProcessError
from spa_knock.link.socket_filter import Instruction, Program, pack

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_MODE_FILTER = 2
_KILL_PROCESS = 0x80000000
_REFUSE = 0x00050000 | errno.EPERM
_ALLOW = 0x7FFF0000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_FIRST_X32_CALL = 0x40000000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_PROT_EXEC = 4
_CAPABILITY_VERSION = 0x20080522

_X86_64 = {
    "read": 0,
    "write": 1,
    "close": 3,
    "fstat": 5,
    "poll": 7,
    "lseek": 8,
    "mmap": 9,
    "mprotect": 10,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "ioctl": 16,
    "writev": 20,
    "sched_yield": 24,
    "mremap": 25,
    "msync": 26,
    "madvise": 28,
    "getpid": 39,
    "socket": 41,
    "connect": 42,
    "sendto": 44,
    "recvfrom": 45,
    "recvmsg": 47,
    "getsockname": 51,
    "getpeername": 52,
    "setsockopt": 54,
    "getsockopt": 55,
    "execve": 59,
    "exit": 60,
    "fcntl": 72,
    "fsync": 74,
    "fdatasync": 75,
    "ptrace": 101,
    "sigaltstack": 131,
    "gettid": 186,
    "futex": 202,
    "clock_gettime": 228,
    "clock_nanosleep": 230,
    "exit_group": 231,
    "epoll_wait": 232,
    "epoll_ctl": 233,
    "tgkill": 234,
    "epoll_pwait": 281,
    "accept4": 288,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "getrandom": 318,
    "execveat": 322,
    "restart_syscall": 219,
}
_AARCH64 = {
    "read": 63,
    "write": 64,
    "close": 57,
    "fstat": 80,
    "lseek": 62,
    "mmap": 222,
    "mprotect": 226,
    "munmap": 215,
    "brk": 214,
    "rt_sigaction": 134,
    "rt_sigprocmask": 135,
    "rt_sigreturn": 139,
    "ioctl": 29,
    "writev": 66,
    "sched_yield": 124,
    "mremap": 216,
    "msync": 227,
    "madvise": 233,
    "getpid": 172,
    "socket": 198,
    "connect": 203,
    "sendto": 206,
    "recvfrom": 207,
    "recvmsg": 212,
    "getsockname": 204,
    "getpeername": 205,
    "setsockopt": 208,
    "getsockopt": 209,
    "execve": 221,
    "exit": 93,
    "fcntl": 25,
    "fsync": 82,
    "fdatasync": 83,
    "ptrace": 117,
    "sigaltstack": 132,
    "gettid": 178,
    "futex": 98,
    "clock_gettime": 113,
    "clock_nanosleep": 115,
    "exit_group": 94,
    "epoll_ctl": 21,
    "epoll_pwait": 22,
    "tgkill": 131,
    "accept4": 242,
    "ppoll": 73,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "getrandom": 278,
    "execveat": 281,
    "restart_syscall": 128,
}


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of machine: its number in linux/audit.h and the numbers of the calls that matter here."""

    audit_number: int
    calls: Mapping[str, int]


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(0xC000003E, _X86_64),
    "aarch64": Machine(0xC00000B7, _AARCH64),
}

_SERVING = frozenset(
    {
        *("read", "write", "writev", "close", "fstat", "lseek", "fsync", "fdatasync", "msync"),
        *("poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_ctl"),
        *("recvfrom", "recvmsg", "getsockname", "getpeername", "setsockopt", "getsockopt"),
        *("munmap", "mremap", "madvise", "brk", "getrandom", "futex", "sched_yield"),
        *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
        *("clock_gettime", "clock_nanosleep", "getpid", "gettid", "exit", "exit_group"),
    }
)
_DEADLY = frozenset({"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev"})
"""No daemon of ours has a reason for these: whoever tries is not our code."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A call that is allowed only when one of its arguments is right.

    argument: 0..5. equals: its exact value. without_bits: bits that must not be set in it.
    """

    argument: int
    equals: int | None = None
    without_bits: int = 0


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a daemon may call beside what serving takes. rules: by call, for those that depend on an argument."""

    calls: Collection[str] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)


_NO_CODE = Rule(argument=2, without_bits=_PROT_EXEC)
_ALWAYS_RULED: Mapping[str, Rule] = {"mmap": _NO_CODE, "mprotect": _NO_CODE}


def seccomp_program(machine: Machine, confinement: Confinement) -> Program:
    """The filter as classic BPF over `struct seccomp_data`."""
    steps = [
        Instruction(_LOAD, 0, 0, _ARCHITECTURE_AT),
        Instruction(_JUMP_IF_EQUAL, 1, 0, machine.audit_number),
        Instruction(_RETURN, 0, 0, _KILL_PROCESS),
        Instruction(_LOAD, 0, 0, _NUMBER_AT),
        Instruction(_JUMP_IF_AT_LEAST, 0, 1, _FIRST_X32_CALL),
        Instruction(_RETURN, 0, 0, _KILL_PROCESS),
    ]
    rules = {**_ALWAYS_RULED, **confinement.rules}
    free = (_SERVING | set(confinement.calls)) - rules.keys()
    for name in sorted(_DEADLY):
        steps += _when(machine, name, [Instruction(_RETURN, 0, 0, _KILL_PROCESS)])
    for name in sorted(free):
        steps += _when(machine, name, [Instruction(_RETURN, 0, 0, _ALLOW)])
    for name, rule in sorted(rules.items()):
        steps += _when(machine, name, _ruled(rule))
    steps.append(Instruction(_RETURN, 0, 0, _REFUSE))
    return tuple(steps)


def _when(machine: Machine, name: str, steps: list[Instruction]) -> list[Instruction]:
    """These steps when the loaded number is this call's; nothing on a machine that does not have it."""
    number = machine.calls.get(name)
    return [] if number is None else [Instruction(_JUMP_IF_EQUAL, 0, len(steps), number), *steps]


def _ruled(rule: Rule) -> list[Instruction]:
    low = _ARGUMENTS_AT + 8 * rule.argument
    if rule.equals is None:
        return [
            Instruction(_LOAD, 0, 0, low),
            Instruction(_JUMP_IF_ANY_BIT, 0, 1, rule.without_bits),
            Instruction(_RETURN, 0, 0, _REFUSE),
            Instruction(_RETURN, 0, 0, _ALLOW),
        ]
    return [
        Instruction(_LOAD, 0, 0, low),
        Instruction(_JUMP_IF_EQUAL, 0, 3, rule.equals & 0xFFFFFFFF),
        Instruction(_LOAD, 0, 0, low + 4),
        Instruction(_JUMP_IF_EQUAL, 0, 1, rule.equals >> 32),
        Instruction(_RETURN, 0, 0, _ALLOW),
        Instruction(_RETURN, 0, 0, _REFUSE),
    ]


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def confine(confinement: Confinement) -> bool:
    """Put the filter on this process, for good. Returns False on a kind of machine that is not known here.

    Call it with one thread. Raises ProcessError when the kernel refuses the filter.
    """
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    program = seccomp_program(machine, confinement)
    code = ctypes.create_string_buffer(pack(program))
    filter_program = _FilterProgram(len(program), ctypes.addressof(code))
    _prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0))
    _prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(filter_program))
    return True


def _prctl(option: int, second: object, third: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, second, third, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise ProcessError(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")


def keep_only(capabilities: Collection[int]) -> None:
    """Give up every capability but these (numbers of linux/capability.h).

    Asks nothing of the kernel when there is nothing to give up, because a service manager's filter may refuse the call.
    Raises ProcessError when one of them is not held, or the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) != 0:
        raise ProcessError(f"capget failed: {os.strerror(ctypes.get_errno())}")
    wanted, too_many = [0, 0], False
    for capability in capabilities:
        wanted[capability // 32] |= 1 << capability % 32
    for word in range(2):
        if wanted[word] & ~sets[3 * word]:
            raise ProcessError("a capability that this process needs was not given to it")
        # Effective, permitted, inheritable.
        too_many = too_many or sets[3 * word] != wanted[word] or sets[3 * word + 1] != wanted[word]
        sets[3 * word], sets[3 * word + 1], sets[3 * word + 2] = wanted[word], wanted[word], 0
    if too_many and libc.capset(header, sets) != 0:
        raise ProcessError(f"capset failed: {os.strerror(ctypes.get_errno())}")
