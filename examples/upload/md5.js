// MD5 (RFC 1321), which browsers do not offer. It is here for Content-MD5 alone: it tells bytes that were damaged on their way, and no
// forger.

const sines = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32));
const shifts = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

// md5 returns the digest of an ArrayBuffer in base64, as Content-MD5 has it (RFC 1864).
export function md5(buffer) {
  const size = buffer.byteLength, whole = size - size % 64;
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  add(state, new DataView(buffer, 0, whole));
  // The rest, the bit that ends it, and the size in bits.
  const end = new Uint8Array(size - whole < 56 ? 64 : 128), view = new DataView(end.buffer);
  end.set(new Uint8Array(buffer, whole));
  end[size - whole] = 0x80;
  view.setBigUint64(end.length - 8, BigInt(size) * 8n, true);
  add(state, view);
  const sum = new DataView(new ArrayBuffer(16));
  state.forEach((word, i) => sum.setInt32(4 * i, word, true));
  return btoa(String.fromCharCode(...new Uint8Array(sum.buffer)));
}

// add takes in blocks of 64 bytes.
function add(state, bytes) {
  const words = new Int32Array(16);
  for (let at = 0; at < bytes.byteLength; at += 64) {
    for (let i = 0; i < 16; i++) words[i] = bytes.getInt32(at + 4 * i, true);
    let [a, b, c, d] = state;
    for (let i = 0; i < 64; i++) {
      let mixed, word;
      if (i < 16) {
        mixed = b & c | ~b & d;
        word = i;
      } else if (i < 32) {
        mixed = d & b | ~d & c;
        word = 5 * i + 1 & 15;
      } else if (i < 48) {
        mixed = b ^ c ^ d;
        word = 3 * i + 5 & 15;
      } else {
        mixed = c ^ (b | ~d);
        word = 7 * i & 15;
      }
      const sum = a + mixed + sines[i] + words[word] | 0, shift = shifts[(i >> 4) * 4 + i % 4];
      [a, d, c, b] = [d, c, b, b + (sum << shift | sum >>> 32 - shift) | 0];
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
  }
}
