package nar

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"imprint/internal/hosttest"
)

func TestBase32(t *testing.T) {
	hello, empty, abc := sha256.Sum256([]byte("hello")), sha256.Sum256(nil), sha1.Sum([]byte("abc"))
	for _, c := range []struct {
		bytes []byte
		text  string
	}{
		{hello[:], "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic"},
		{empty[:], "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"},
		{abc[:], "kpcd173cq987hw957sx6m0868wv3x6d9"},
		{nil, ""},
		{[]byte{0xff}, "7z"},
	} {
		if got := EncodeBase32(c.bytes); got != c.text {
			t.Errorf("%x is %s, want %s", c.bytes, got, c.text)
		}
		if got, err := DecodeBase32(c.text); err != nil || !bytes.Equal(got, c.bytes) {
			t.Errorf("%s is %x, %v, want %x", c.text, got, err, c.bytes)
		}
	}
}

func TestDecodeBase32Refuses(t *testing.T) {
	for text, want := range map[string]string{
		"8z":  "beyond 1 bytes",
		"zz":  "beyond 1 bytes",
		"z":   "no number of bytes",
		"000": "no number of bytes",
		"0e":  "character 2 is 'e'",
		"0A":  "character 2 is 'A'",
		"é0":  "no number of bytes",
	} {
		if b, err := DecodeBase32(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gave %x, %v, want %q", text, b, err, want)
		}
	}
}

// Texts and bytes correspond one to one.
func FuzzDecodeBase32(f *testing.F) {
	f.Add("094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic")
	f.Add("8z")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		if b, err := DecodeBase32(text); err == nil && EncodeBase32(b) != text {
			t.Errorf("%q decodes to %x, which encodes to %q", text, b, EncodeBase32(b))
		}
	})
}

// Five spellings of one hash.
func TestParseHash(t *testing.T) {
	want := sha256.Sum256([]byte("hello"))
	for _, text := range []string{
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
		"094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
		"sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
		"sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
	} {
		if got, err := ParseHash(text); err != nil || got != want {
			t.Errorf("%s is %x, %v", text, got, err)
		}
	}
}

func TestParseHashRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "0 digits",
		"sha256:":                            "0 digits",
		"sha512:" + strings.Repeat("0", 128): "135 digits",
		strings.Repeat("g", 64):              "hexadecimal",
		strings.Repeat("A", 64):              "lower-case",
		strings.Repeat("e", 52):              "character 52 is 'e'",
		strings.Repeat("z", 52):              "beyond 32 bytes",
		"sha256-":                            "0 bytes",
		"sha256-LPJNul+wow4=":                "8 bytes",
		"sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ":    "not base64",
		"sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCR=":   "not base64",
		"sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=\n": "not base64",
	} {
		if got, err := ParseHash(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %x, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic")
	f.Add("sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		d, err := ParseHash(text)
		if err != nil {
			return
		}
		bare := strings.TrimPrefix(text, "sha256:")
		if sri := "sha256-" + base64.StdEncoding.EncodeToString(d[:]); bare != hex.EncodeToString(d[:]) && bare != EncodeBase32(d[:]) && text != sri {
			t.Errorf("%q was read as %x, which is not written like that", text, d)
		}
	})
}

func TestHashTextAsNix(t *testing.T) {
	hosttest.Need(t, "nix-hash")
	dir := t.TempDir()
	hosttest.Check(t, func(rt *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(rt, "content")
		name := filepath.Join(dir, "f")
		if err := os.WriteFile(name, content, 0o644); err != nil {
			rt.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if got := strings.TrimSpace(hosttest.Run(t, "nix-hash", "--type", "sha256", "--flat", "--base32", name)); got != EncodeBase32(sum[:]) {
			rt.Fatalf("nix-hash says %s, we %s", got, EncodeBase32(sum[:]))
		}
	})
}
