package cid

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// The identifiers of "hello\n": ipfs add --cid-version 1 --raw-leaves, and of the same digest in other forms.
func TestParse(t *testing.T) {
	sum := sha256.Sum256([]byte("hello\n"))
	raw := "b" + base32Lower.EncodeToString(append([]byte{1, Raw, sha256Code, 32}, sum[:]...))
	hexadecimal := "f01551220" + hex.EncodeToString(sum[:])
	for text, isHash := range map[string]bool{
		raw: true, strings.ToUpper(raw): true, hexadecimal: true,
		"bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am": true,
		"QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN":              false, // the same file as a UnixFS node
		"zdj7WX8dnqcA3ZZnmMG8bXPNXzkzMDmbVnbM4MCUVzBfRSzMn":           false,
	} {
		c, err := Parse(text)
		got, ok := c.SHA256()
		if err != nil || ok != isHash || ok && got != sum {
			t.Errorf("%s: %+v, %x, %v", text, c, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "is empty",
		"b":                        "version",
		"hello":                    `base "h"`,
		"Qm!":                      "characters",
		"b!!!":                     "characters",
		"QmZULkCELmmk5XNfCgTnCyFg": "version",
		"f0155122000":              "cut off",
		"f0155":                    "cut off",
		"f01":                      "cut off",
		"f015512021234":            "has 32 bytes",
		"f02551220":                "version",
		strings.Repeat("f", 1000):  "1000 characters",
	} {
		if c, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %+v, %v", text, c, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am")
	f.Add("QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		c, err := Parse(text)
		if sum, ok := c.SHA256(); ok && (err != nil || hex.EncodeToString(sum[:]) != hex.EncodeToString(c.Digest)) {
			t.Error(err)
		}
	})
}
