package ext4

import "math/bits"

// A dirHash orders the names in an indexed directory: by major, whose lowest bit is always 0, then by minor.
type dirHash struct{ major, minor uint32 }

// A hasher hashes names with half MD4 over signed characters, started from the superblock's s_hash_seed (kernel: "Hash Tree
// Directories", hash version 1 with the superblock flag for signed hashes).
type hasher [4]uint32

// md4Start is the initial state of MD4, which a hash seed of zeros stands for.
var md4Start = hasher{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

// lastHash is the largest major hash of a name: the kernel uses the next one to mark the end of a directory.
const lastHash = 0xfffffffc

func newHasher(seed [16]byte) hasher {
	if seed == [16]byte{} {
		return md4Start
	}
	var h hasher
	for i := range h {
		h[i] = le.Uint32(seed[4*i:])
	}
	return h
}

// hash returns the hash of a name.
func (h hasher) hash(name string) dirHash {
	for {
		var words [8]uint32
		hashWords(words[:], name, false)
		h.transform(&words)
		if len(name) <= 32 {
			break
		}
		name = name[32:]
	}
	return dirHash{min(h[1]&^1, lastHash), h[2]}
}

// hashWords packs the first bytes of a name as signed or unsigned numbers, four to a word, the first one in the highest bits. The rest is
// padded with the length of the name.
func hashWords(words []uint32, name string, unsigned bool) {
	pad := uint32(len(name)) * 0x01010101
	word, filled := pad, 0
	for i := range min(len(name), 4*len(words)) {
		if unsigned {
			word = word<<8 + uint32(name[i])
		} else {
			word = word<<8 + uint32(int32(int8(name[i])))
		}
		if i%4 == 3 {
			words[filled] = word
			word, filled = pad, filled+1
		}
	}
	for ; filled < len(words); filled++ {
		words[filled] = word
		word = pad
	}
}

// transform is the transform of MD4 (RFC 1320) with half of the steps of each round.
func (h *hasher) transform(in *[8]uint32) {
	const k2, k3 = 0x5a827999, 0x6ed9eba1
	a, b, c, d := h[0], h[1], h[2], h[3]
	for i := 0; i < 8; i += 4 {
		a = bits.RotateLeft32(a+choose(b, c, d)+in[i], 3)
		d = bits.RotateLeft32(d+choose(a, b, c)+in[i+1], 7)
		c = bits.RotateLeft32(c+choose(d, a, b)+in[i+2], 11)
		b = bits.RotateLeft32(b+choose(c, d, a)+in[i+3], 19)
	}
	for i := 1; i >= 0; i-- {
		a = bits.RotateLeft32(a+majority(b, c, d)+in[i]+k2, 3)
		d = bits.RotateLeft32(d+majority(a, b, c)+in[i+2]+k2, 5)
		c = bits.RotateLeft32(c+majority(d, a, b)+in[i+4]+k2, 9)
		b = bits.RotateLeft32(b+majority(c, d, a)+in[i+6]+k2, 13)
	}
	for i := 3; i >= 0; i -= 2 {
		j := i - 1
		a = bits.RotateLeft32(a+(b^c^d)+in[i]+k3, 3)
		d = bits.RotateLeft32(d+(a^b^c)+in[i+4]+k3, 9)
		c = bits.RotateLeft32(c+(d^a^b)+in[j]+k3, 11)
		b = bits.RotateLeft32(b+(c^d^a)+in[j+4]+k3, 15)
	}
	h[0] += a
	h[1] += b
	h[2] += c
	h[3] += d
}

func choose(x, y, z uint32) uint32   { return z ^ x&(y^z) }
func majority(x, y, z uint32) uint32 { return x&y + (x^y)&z }
