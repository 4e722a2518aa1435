// Package cid reads content identifiers of IPFS (https://github.com/multiformats/cid), as far as it takes to check their form, and to know which of
// them are a hash of the file itself: those of one raw block with SHA-256. All others identify the blocks that a file was divided into, which says
// nothing about its own hash.
package cid

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// A CID is a content identifier.
type CID struct {
	Version int    // 0 or 1
	Codec   uint64 // of the block: [Raw], [DagPB] or another one of the table of multicodecs
	Hash    uint64 // function, likewise
	Digest  []byte
}

// Codes of the table of multicodecs (https://github.com/multiformats/multicodec).
const (
	Raw        = 0x55
	DagPB      = 0x70
	sha256Code = 0x12
)

// longest is the length in characters of the longest identifier that is read: with a digest of 64 bytes in base 16 it is shorter.
const longest = 256

// Parse reads an identifier: of version 0, or of version 1 in base 16, 32 or 58.
func Parse(text string) (CID, error) {
	if len(text) > longest {
		return CID{}, fmt.Errorf("is no CID: it has %d characters", len(text))
	}
	b, err := decode(text)
	if err != nil {
		return CID{}, err
	}
	if len(text) == 46 && strings.HasPrefix(text, "Qm") {
		c := CID{Codec: DagPB}
		return c, c.multihash(b)
	}
	return binaryCID(b)
}

// binaryCID reads the bytes of an identifier of version 1.
func binaryCID(b []byte) (c CID, err error) {
	version, n := binary.Uvarint(b)
	if n <= 0 || version != 1 {
		return CID{}, errors.New("is no CID of version 0 or 1")
	}
	b = b[n:]
	if c.Codec, n = binary.Uvarint(b); n <= 0 {
		return CID{}, errShort
	}
	c.Version = 1
	err = c.multihash(b[n:])
	return c, err
}

var errShort = errors.New("is no CID: it is cut off")

// multihash reads a function, the length of a digest, and the digest.
func (c *CID) multihash(b []byte) error {
	var n int
	if c.Hash, n = binary.Uvarint(b); n <= 0 {
		return errShort
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size != uint64(len(b)-n) {
		return errShort
	}
	if c.Digest = b[n:]; c.Hash == sha256Code && size != sha256.Size {
		return fmt.Errorf("is no CID: a SHA-256 has %d bytes, not %d", sha256.Size, size)
	}
	return nil
}

// SHA256 returns the SHA-256 of the file, if the identifier is that of one raw block.
func (c CID) SHA256() (sum [sha256.Size]byte, ok bool) {
	if c.Codec != Raw || c.Hash != sha256Code || len(c.Digest) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(c.Digest), true
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// decode decodes the text of an identifier. Except in version 0 its first character names the base (https://github.com/multiformats/multibase).
func decode(text string) ([]byte, error) {
	if strings.HasPrefix(text, "Qm") {
		return base58(text)
	}
	if text == "" {
		return nil, errors.New("is no CID: it is empty")
	}
	digits := text[1:]
	switch text[0] {
	case 'b':
		return wrap(base32Lower.DecodeString(digits))
	case 'B':
		return wrap(base32Lower.DecodeString(strings.ToLower(digits)))
	case 'f', 'F':
		return wrap(hex.DecodeString(digits))
	case 'z':
		return base58(digits)
	}
	return nil, fmt.Errorf("is no CID that is understood: base %q; write it in base 32, as ipfs cid base32 does", text[:1])
}

func wrap(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, errors.New("is no CID: it has characters that its base does not have")
	}
	return b, nil
}

const alphabet58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// base58 decodes digits of base 58 as Bitcoin has them: each leading 1 is a byte 0.
func base58(digits string) ([]byte, error) {
	n, radix := new(big.Int), big.NewInt(58)
	for _, d := range []byte(digits) {
		at := strings.IndexByte(alphabet58, d)
		if at < 0 {
			return wrap(nil, errShort)
		}
		n.Add(n.Mul(n, radix), big.NewInt(int64(at)))
	}
	zeros := len(digits) - len(strings.TrimLeft(digits, "1"))
	return append(make([]byte, zeros), n.Bytes()...), nil
}
