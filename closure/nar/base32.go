package nar

import (
	"fmt"
	"strings"
)

// alphabet holds the digits of Nix base32: the lower-case letters and figures without e, o, t and u.
const alphabet = "0123456789abcdfghijklmnpqrsvwxyz"

// digits holds the value of each character, or notADigit.
var digits = func() (d [256]byte) {
	for i := range d {
		d[i] = notADigit
	}
	for i := range len(alphabet) {
		d[alphabet[i]] = byte(i)
	}
	return d
}()

const notADigit = 0xff

// EncodedLen returns the number of base32 digits for n bytes.
func EncodedLen(n int) int { return (n*8 + 4) / 5 }

// EncodeBase32 encodes bytes in Nix base32: digits of five bits, from the low bits of the first byte on, written in reverse order
// (printHash32 in Nix's hash.cc). It is neither the alphabet nor the order of RFC 4648.
func EncodeBase32(b []byte) string {
	var s strings.Builder
	s.Grow(EncodedLen(len(b)))
	for n := EncodedLen(len(b)) - 1; n >= 0; n-- {
		i, shift := n*5/8, n*5%8
		v := b[i] >> shift
		if i+1 < len(b) {
			v |= b[i+1] << (8 - shift)
		}
		s.WriteByte(alphabet[v&31])
	}
	return s.String()
}

// DecodeBase32 is the inverse of [EncodeBase32]. Every byte string has exactly one encoding: characters outside of the alphabet, lengths that
// are not those of whole bytes, and set bits beyond the last byte are errors.
func DecodeBase32(s string) ([]byte, error) {
	b := make([]byte, len(s)*5/8)
	if EncodedLen(len(b)) != len(s) {
		return nil, fmt.Errorf("base32 text of %d digits: no number of bytes has that length", len(s))
	}
	for n := range len(s) {
		at := len(s) - 1 - n
		v := digits[s[at]]
		if v == notADigit {
			return nil, fmt.Errorf("base32 text %q: character %d is %q, not one of %s", s, at+1, s[at], alphabet)
		}
		i, shift := n*5/8, n*5%8
		b[i] |= v << shift
		carry := byte(uint16(v) << shift >> 8)
		if i+1 < len(b) {
			b[i+1] |= carry
		} else if carry != 0 {
			return nil, fmt.Errorf("base32 text %q: its first digit has bits beyond %d bytes", s, len(b))
		}
	}
	return b, nil
}
