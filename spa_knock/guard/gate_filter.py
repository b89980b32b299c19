"""The gate as a program of the kernel: junk is shed at the socket, before the guard wakes up. Pure.

The program checks a datagram's length, then computes `wire.gate.gate_tag` over its 20 clear bytes for each key in turn
and lets it through when one fits. It keeps outsiders' junk cheap; whatever passes is judged from the beginning again.

Classic BPF on a UDP socket sees the UDP header first, so the packet begins at byte 8. A and X are 32-bit registers,
M[0..3] hold HalfSipHash's state.
"""

from collections.abc import Sequence

from spa_knock.link.socket_filter import Instruction, Program
from spa_knock.wire.gate import GATED_BYTES
from spa_knock.wire.keys import GATE_KEY_BYTES, require_length
from spa_knock.wire.packet import PACKET_BYTES

MAX_KEYS = 6
"""So many keys fit into one program (4,096 instructions): two site keys, three epochs each."""

_UDP_HEADER_BYTES = 8
_LENGTH_WORD = GATED_BYTES << 24
_LOAD_VALUE, _LOAD_PACKET_WORD, _LOAD_STATE, _LOAD_LENGTH = 0x00, 0x20, 0x60, 0x80
_X_FROM_STATE, _STORE_STATE, _X_FROM_A = 0x61, 0x02, 0x07
_ADD_X, _OR_X, _XOR_X, _XOR_VALUE = 0x0C, 0x4C, 0xAC, 0xA4
_SHIFT_LEFT, _SHIFT_RIGHT = 0x64, 0x74
_JUMP_IF_EQUAL, _JUMP_IF_EQUAL_X, _RETURN = 0x15, 0x1D, 0x06
_WHOLE_DATAGRAM = 0xFFFF


def length_program() -> Program:
    """Lets every datagram of a knock's length through: for a kernel without room for the gate."""
    return (*_length_check(), Instruction(_RETURN, 0, 0, _WHOLE_DATAGRAM))


def gate_program(gate_keys: Sequence[bytes]) -> Program:
    """Lets through what has a knock's length and a gate tag that fits one of `gate_keys` (8 bytes each, at most 6)."""
    if not 1 <= len(gate_keys) <= MAX_KEYS:
        raise ValueError(f"{len(gate_keys)} gate keys; 1 to {MAX_KEYS} fit into a filter")
    return (*_length_check(), *(step for key in gate_keys for step in _try_key(key)), Instruction(_RETURN, 0, 0, 0))


def _length_check() -> list[Instruction]:
    return [
        Instruction(_LOAD_LENGTH, 0, 0, 0),
        Instruction(_JUMP_IF_EQUAL, 1, 0, PACKET_BYTES + _UDP_HEADER_BYTES),
        Instruction(_RETURN, 0, 0, 0),
    ]


def _try_key(key: bytes) -> list[Instruction]:
    require_length(key, GATE_KEY_BYTES, "gate key")
    assembler = _Assembler()
    k0, k1 = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")
    for register, value in enumerate((k0, k1, 0x6C796765 ^ k0, 0x74656462 ^ k1)):
        assembler.put(_LOAD_VALUE, value)
        assembler.put(_STORE_STATE, register)
    for start in range(0, GATED_BYTES, 4):
        assembler.absorb(_LOAD_PACKET_WORD, _UDP_HEADER_BYTES + start)
    assembler.absorb(_LOAD_VALUE, _LENGTH_WORD)
    assembler.put(_LOAD_STATE, 2)
    assembler.put(_XOR_VALUE, 0xFF)
    assembler.put(_STORE_STATE, 2)
    for _ in range(3):
        assembler.round()
    assembler.put(_LOAD_STATE, 1)
    assembler.put(_X_FROM_STATE, 3)
    assembler.put(_XOR_X)
    assembler.put(_X_FROM_A)
    assembler.put(_LOAD_PACKET_WORD, _UDP_HEADER_BYTES + GATED_BYTES)
    return [
        *assembler.steps,
        Instruction(_JUMP_IF_EQUAL_X, 0, 1, 0),
        Instruction(_RETURN, 0, 0, _WHOLE_DATAGRAM),
    ]


class _Assembler:
    def __init__(self) -> None:
        self.steps: list[Instruction] = []

    def put(self, code: int, value: int = 0) -> None:
        self.steps.append(Instruction(code, 0, 0, value))

    def absorb(self, load: int, value: int) -> None:
        """One message word into the state, with one round (HalfSipHash-1-3)."""
        for register in (3, 0):
            self.put(load, value)
            self.put(_X_FROM_STATE, register)
            self.put(_XOR_X)
            self.put(_STORE_STATE, register)
            if register == 3:
                self.round()

    def round(self) -> None:
        self._add(0, 1)
        self._rotate(1, 5, xor=0)
        self._rotate(0, 16)
        self._add(2, 3)
        self._rotate(3, 8, xor=2)
        self._add(0, 3)
        self._rotate(3, 7, xor=0)
        self._add(2, 1)
        self._rotate(1, 13, xor=2)
        self._rotate(2, 16)

    def _add(self, register: int, other: int) -> None:
        self.put(_LOAD_STATE, register)
        self.put(_X_FROM_STATE, other)
        self.put(_ADD_X)
        self.put(_STORE_STATE, register)

    def _rotate(self, register: int, bits: int, *, xor: int | None = None) -> None:
        self.put(_LOAD_STATE, register)
        self.put(_SHIFT_LEFT, bits)
        self.put(_X_FROM_A)
        self.put(_LOAD_STATE, register)
        self.put(_SHIFT_RIGHT, 32 - bits)
        self.put(_OR_X)
        if xor is not None:
            self.put(_X_FROM_STATE, xor)
            self.put(_XOR_X)
        self.put(_STORE_STATE, register)
