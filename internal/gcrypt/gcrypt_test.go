package gcrypt

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// vectors were made by libgcrypt (testdata/vectors.c).
//
//go:embed testdata/vectors.txt
var vectors string

// A vector is a key, a text and its signature.
type vector struct{ key, text, signature string }

func all(t testing.TB) (list []vector) {
	lines := strings.Split(strings.TrimSpace(vectors), "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		list = append(list, vector{lines[i], lines[i+1], lines[i+2]})
	}
	if len(list) != 16 {
		t.Fatalf("%d vectors", len(list))
	}
	last := &list[15]
	b, err := hex.DecodeString(last.signature)
	if err != nil {
		t.Fatal(err)
	}
	last.signature = string(b)
	return list
}

// libgcrypt's signatures are valid, for their key and their text only, and not with any number changed.
func TestVectors(t *testing.T) {
	list := all(t)
	for i, v := range list {
		k, err := ParseKey(v.key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKey(k.String()); err != nil || again != k {
			t.Errorf("%v is read as another key, %v", k, err)
		}
		s, err := ParseSignature(v.signature)
		if err != nil {
			t.Fatal(err)
		}
		if s.Key != k || s.Hash != sha256.Sum256([]byte(v.text)) || !s.Verify() {
			t.Errorf("%d: not valid", i)
		}
		for what, change := range map[string]func(s *Signature){
			"hash":      func(s *Signature) { s.Hash[0] ^= 1 },
			"last":      func(s *Signature) { s.Hash[31] ^= 8 }, // the lowest three bits do not count
			"key":       func(s *Signature) { s.Key, _ = ParseKey(list[(i+1)%len(list)].key) },
			"r":         func(s *Signature) { s.r = new(big.Int).Add(s.r, big.NewInt(1)) },
			"s":         func(s *Signature) { s.s = new(big.Int).Add(s.s, big.NewInt(1)) },
			"zero r":    func(s *Signature) { s.r = new(big.Int) },
			"zero s":    func(s *Signature) { s.s = new(big.Int) },
			"large r":   func(s *Signature) { s.r = new(big.Int).Add(s.r, order) },
			"large s":   func(s *Signature) { s.s = new(big.Int).Add(s.s, order) },
			"the order": func(s *Signature) { s.s = order },
		} {
			changed := *s
			change(&changed)
			if changed.Verify() {
				t.Errorf("%d: valid with another %s", i, what)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	zeros := strings.Repeat("00", 32)
	for text, want := range map[string]string{
		"(public-key (ecc (curve Ed25519) (q #00#)))":                                         "q has 1 bytes",
		"(public-key (ecc (curve Ed25519)))":                                                  "q has 0 bytes",
		"(public-key (ecc (curve Ed25519) (q #" + zeros + "#)))":                              "can be a key",
		"(public-key (ecc (curve Ed25519) (q #01" + zeros[2:] + "#)))":                        "can be a key",
		"(public-key (ecc (curve Ed25519) (flags eddsa) (q #" + zeros + "#)))":                "keys with flags",
		"(public-key (ecc (curve \"NIST P-256\") (q #" + zeros + "#)))":                       `curve "NIST P-256"`,
		"(public-key (rsa (n #00#)))":                                                         "not of the form",
		"(private-key (ecc (curve Ed25519) (q #00#) (d #" + strings.Repeat("42", 32) + "#)))": "it is a secret key",
		"(key-data)": "it is a secret key",
	} {
		if _, err := ParseKey(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "42424242") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	good := all(t)[0].signature
	for _, c := range [][3]string{
		{"sha256", "sha512", "no SHA-256"}, {"ecdsa", "eddsa", "not one of ECDSA"}, {"sig-val", "x", "not of the form"},
		{"public-key", "private-key", "not of the form"}, {"Ed25519", "x", "its key: the curve"}, {"(r #", "(r #" + strings.Repeat("00", 64), "r has 96 bytes"},
	} {
		if _, err := ParseSignature(strings.Replace(good, c[0], c[1], 1)); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
	s, err := ParseSignature(strings.Replace(good, "(r #", "(x #", 1))
	if err != nil || s.Verify() {
		t.Errorf("valid without r, %v", err)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add(all(f)[0].signature)
	f.Add(all(f)[15].signature)
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		if s, err := ParseSignature(text); err == nil {
			s.Verify()
		}
	})
}
