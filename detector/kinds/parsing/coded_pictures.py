"""How many pictures a packet of coded video holds: VP9 and AV1 hide some among those shown.

A picture that is never shown costs as much to decode as another, so each is counted before.

Sources: VP9 bitstream specification, annex B (the last byte tells of a superframe's frames); AV1
bitstream specification, sections 5.3 and 6.2.2 (units of types 3 and 6 begin pictures), and 4.10.5
(lengths: 7 bits a byte, the least first). VP8 and the others hold one picture in a packet.
"""


def count(packet: bytes, codec: str) -> int:
    """Return the number of pictures in a packet, 1 at least; 0 if it is empty."""
    if not packet:
        return 0
    if codec == "vp9":
        last = packet[-1]
        return 1 + (last & 7) if last & 0xE0 == 0xC0 else 1
    return max(_av1(packet), 1) if codec == "av1" else 1


def _av1(packet: bytes) -> int:
    """Return how many units of a packet begin pictures."""
    at, found = 0, 0
    while at < len(packet):
        head = packet[at]
        found += (head >> 3 & 15) in (3, 6)
        at += 2 if head & 4 else 1
        if not head & 2:  # without a length it goes to the end
            break
        length = 0
        for place, byte in enumerate(packet[at : at + 8]):
            length |= (byte & 127) << 7 * place
            at += 1
            if byte < 128:
                break
        at += length
    return found
