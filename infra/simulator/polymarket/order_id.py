"""The id of a Polymarket order: the EIP-712 hash of what was signed, so its sender knows it before posting.

Sources: EIP-712; the Keccak reference (the padding before its standardisation as SHA-3); the exchange's order struct
and domains as the official clients sign them. The signature itself is not looked at: the simulator takes any.
"""

from functools import lru_cache

from infra.simulator.polymarket.order_form import SignedOrder

CHAIN_ID = 137
ORDER_TYPE = (
    b"Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,uint256 takerAmount,"
    b"uint8 side,uint8 signatureType,uint256 timestamp,bytes32 metadata,bytes32 builder)"
)
DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
DOMAIN_NAME = b"Polymarket CTF Exchange"
STANDARD = ("2", "0xE111180000d2663C0091e4f400237545B87B996B")
NEG_RISK = ("2", "0xe2222d279d744050d28e00520010520000310F59")
VERSION_2 = ("3", "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa")

_LANES = 25
_RATE = 136
_MASK = (1 << 64) - 1


def order_id(order: SignedOrder, *, neg_risk: bool, version: str) -> str:
    """``0x`` and 64 hex digits. ``version`` is the market's protocol: ``v2`` signs for another contract."""
    contract = VERSION_2 if version == "v2" else NEG_RISK if neg_risk else STANDARD
    fields = (
        order.salt,
        _address(order.maker),
        _address(order.signer),
        int(order.tokenId),
        int(order.makerAmount),
        int(order.takerAmount),
        0 if order.side == "BUY" else 1,
        order.signatureType,
        int(order.timestamp),
        _address(order.metadata),
        _address(order.builder),
    )
    struct = keccak256(_type_hash(ORDER_TYPE) + b"".join(_word(value) for value in fields))
    return "0x" + keccak256(b"\x19\x01" + _separator(*contract) + struct).hex()


@lru_cache(maxsize=8)
def _separator(version: str, contract: str) -> bytes:
    name, number = keccak256(DOMAIN_NAME), keccak256(version.encode())
    return keccak256(_type_hash(DOMAIN_TYPE) + name + number + _word(CHAIN_ID) + _word(_address(contract)))


@lru_cache(maxsize=8)
def _type_hash(text: bytes) -> bytes:
    return keccak256(text)


def _word(value: int) -> bytes:
    return (value % (1 << 256)).to_bytes(32, "big")


def _address(text: str) -> int:
    return int(text, 16)


def keccak256(data: bytes) -> bytes:
    """Keccak with 256 bits of output and the padding that Ethereum kept: one bit, zeros, one bit."""
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % _RATE)
    padded[-1] |= 0x80
    state = [0] * _LANES
    for start in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            place = start + 8 * lane
            state[lane] ^= int.from_bytes(padded[place : place + 8], "little")
        state = _permuted(state)
    return b"".join(lane.to_bytes(8, "little") for lane in state[:4])


def _permuted(state: list[int]) -> list[int]:
    """Keccak-f[1600]: 24 rounds of theta, rho and pi, chi, iota over the lanes ``x + 5 * y``."""
    for constant in _round_constants():
        parity = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        mixed = [parity[x - 1] ^ _rotated(parity[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * _LANES
        for lane, (target, offset) in enumerate(_moves()):
            moved[target] = _rotated(state[lane] ^ mixed[lane % 5], offset)
        for lane in range(_LANES):
            row = lane - lane % 5
            state[lane] = moved[lane] ^ (~moved[row + (lane + 1) % 5] & moved[row + (lane + 2) % 5] & _MASK)
        state[0] ^= constant
    return state


def _rotated(lane: int, by: int) -> int:
    return ((lane << by) | (lane >> (64 - by))) & _MASK if by else lane


@lru_cache(maxsize=1)
def _moves() -> tuple[tuple[int, int], ...]:
    """Where rho and pi take each lane, and by how many bits they turn it."""
    moves = {0: (0, 0)}
    x, y = 1, 0
    for step in range(24):
        moves[x + 5 * y] = (y + 5 * ((2 * x + 3 * y) % 5), (step + 1) * (step + 2) // 2 % 64)
        x, y = y, (2 * x + 3 * y) % 5
    return tuple(moves[lane] for lane in range(_LANES))


@lru_cache(maxsize=1)
def _round_constants() -> tuple[int, ...]:
    """Iota's constants, drawn from the reference's shift register."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            constant |= (register & 1) << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)
