package ext4

// Hashes of names that only a reader needs (kernel: "Hash Tree Directories"): a directory's version is one of these, and the superblock may
// say that characters are unsigned.
const (
	hashLegacy  = 0
	hashTEA     = 2
	hashSip     = 6 // of names that are encrypted and case-folded
	hashSigned  = 3 // versions below are for signed characters, those from here on the same for unsigned ones
	teaDelta    = 0x9e3779b9
	legacyPrime = 7152373
)

// A nameHasher hashes the names of one directory.
type nameHasher struct {
	seed     hasher
	version  uint8
	unsigned bool
	fold     bool // names are compared without case
}

// hash returns the major hash of a name; ok is false if this package cannot fold or hash the name.
func (h nameHasher) hash(name string) (major uint32, ok bool) {
	if h.fold {
		if name, ok = foldASCII(name); !ok {
			return 0, false
		}
	}
	switch h.version {
	case hashLegacy:
		major = legacyHash(name, h.unsigned)
	case hashHalfMD4:
		major = h.halfMD4(name)
	case hashTEA:
		major = h.tea(name)
	default:
		return 0, false
	}
	return min(major&^1, lastHash), true
}

// foldASCII folds the case of a name; ok is false if it has other characters than ASCII.
func foldASCII(name string) (folded string, ok bool) {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 0x80:
			return "", false
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b), true
}

func (h nameHasher) halfMD4(name string) uint32 {
	state := h.seed
	for ; ; name = name[32:] {
		var words [8]uint32
		hashWords(words[:], name, h.unsigned)
		state.transform(&words)
		if len(name) <= 32 {
			return state[1]
		}
	}
}

// tea is the Tiny Encryption Algorithm over 16 bytes at a time.
func (h nameHasher) tea(name string) uint32 {
	s0, s1 := h.seed[0], h.seed[1]
	for ; ; name = name[16:] {
		var in [4]uint32
		hashWords(in[:], name, h.unsigned)
		b0, b1, sum := s0, s1, uint32(0)
		for range 16 {
			sum += teaDelta
			b0 += (b1<<4 + in[0]) ^ (b1 + sum) ^ (b1>>5 + in[1])
			b1 += (b0<<4 + in[2]) ^ (b0 + sum) ^ (b0>>5 + in[3])
		}
		s0, s1 = s0+b0, s1+b1
		if len(name) <= 16 {
			return s0
		}
	}
}

// legacyHash is the hash of version 0, of the first kernels with indexes. The lowest bit is 0, as in all hashes: an index uses it as a mark.
func legacyHash(name string, unsigned bool) uint32 {
	h0, h1 := uint32(0x12a3fe2d), uint32(0x37abe8f9)
	for _, c := range []byte(name) {
		x := uint32(c)
		if !unsigned {
			x = uint32(int32(int8(c)))
		}
		h := h1 + (h0 ^ x*legacyPrime)
		if h&0x80000000 != 0 {
			h -= 0x7fffffff
		}
		h0, h1 = h, h0
	}
	return h0 << 1
}
