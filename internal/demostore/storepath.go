package demostore

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// sourcePath returns the store path of an item that is addressed by its NAR hash and its references, which Nix calls "source" (Nix,
// store-api.cc: makeStorePath, makeFixedOutputPath).
func sourcePath(storeDir, name string, nar [sha256.Size]byte, references []string) string {
	kind := strings.Join(append([]string{"source"}, references...), ":")
	sum := sha256.Sum256([]byte(kind + ":sha256:" + hex.EncodeToString(nar[:]) + ":" + storeDir + ":" + name))
	var folded [20]byte
	for i, b := range sum {
		folded[i%len(folded)] ^= b
	}
	return storeDir + "/" + base32(folded[:]) + "-" + name
}

// base32 returns a hash in Nix's base 32, which starts with the last bits (Nix, hash.cc: printHash32).
func base32(hash []byte) string {
	const digits = "0123456789abcdfghijklmnpqrsvwxyz"
	var text []byte
	for n := (len(hash)*8 - 1) / 5; n >= 0; n-- {
		i, j := n*5/8, n*5%8
		c := int(hash[i]) >> j
		if i+1 < len(hash) {
			c |= int(hash[i+1]) << (8 - j)
		}
		text = append(text, digits[c&31])
	}
	return string(text)
}
