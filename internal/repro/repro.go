// Package repro derives every identifier and time of an image. It uses no clock and no random source: the same seed always has
// the same identifiers.
package repro

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// A UUID is 16 bytes, in the order of its text.
type UUID = uuid.UUID

// A Seed is the value from which the identifiers of an image derive.
type Seed [sha256.Size]byte

// SeedOf returns the seed for a text.
func SeedOf(text string) Seed { return sha256.Sum256([]byte(text)) }

// String returns the seed in hexadecimal digits.
func (s Seed) String() string { return hex.EncodeToString(s[:]) }

// ParseSeed is the inverse of String.
func ParseSeed(text string) (s Seed, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(s) {
		return s, fmt.Errorf("%.80q is not a seed of %d hexadecimal digits", text, 2*len(s))
	}
	return Seed(b), nil
}

// namespace is the namespace of imprint's version 5 UUIDs: the UUIDv5 of "imprint" in the namespace of all zeros.
var namespace = uuid.NewSHA1(uuid.Nil, []byte("imprint"))

// UUID derives the identifier with that name (RFC 9562, version 5).
func (s Seed) UUID(name string) UUID {
	return uuid.NewSHA1(namespace, append(s[:], name...))
}

// Uint32 derives a 32-bit number that is never 0, such as the serial number of a FAT volume.
func (s Seed) Uint32(name string) uint32 {
	id := s.UUID(name)
	return max(1, binary.BigEndian.Uint32(id[:4]))
}

// Times of an image, in seconds since 1970.
const (
	StoreEpoch   int64 = 1         // the modification time of everything in a store item
	DefaultEpoch int64 = 1         // the default for everything else
	FATEpoch     int64 = 315532800 // 1980-01-01, the first day that FAT can store
)

// ParseUUID parses a UUID in the form 8-4-4-4-12 of hexadecimal digits.
func ParseUUID(text string) (UUID, error) {
	if len(text) != 36 {
		return UUID{}, fmt.Errorf("UUID %q has %d characters, want 36", text, len(text))
	}
	return uuid.Parse(text)
}
