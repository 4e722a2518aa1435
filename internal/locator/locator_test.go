package locator

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

func TestParse(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	digits := hex.EncodeToString(sum[:])
	raw := "f01551220" + digits
	for text, want := range map[string]Locator{
		"file:a/b c":                         {Kind: File, Path: "a/b c"},
		"file:/a":                            {Kind: File, Path: "/a"},
		"file:///a%20b":                      {Kind: File, Path: "/a b"},
		"https://example.org/x?y":            {Kind: HTTPS, URL: "https://example.org/x?y"},
		"http://example.org/x":               {Kind: HTTP, URL: "http://example.org/x"},
		"annex:../data/x.bin":                {Kind: Annex, Path: "../data/x.bin"},
		"annex:SHA256E-s1--" + digits + ".x": {Kind: Annex, Path: "SHA256E-s1--" + digits + ".x", Sum: &sum},
		"annex:/srv/SHA256-s1--" + digits:    {Kind: Annex, Path: "/srv/SHA256-s1--" + digits, Sum: &sum},
		"annex:MD5E-s1--0cc175b9.x":          {Kind: Annex, Path: "MD5E-s1--0cc175b9.x"},
		"store:/nix/store/x":                 {Kind: Store, Path: "/nix/store/x"},
		"ipfs:" + raw:                        {Kind: IPFS, Path: raw, Sum: &sum},
		"ipfs://" + raw:                      {Kind: IPFS, Path: raw, Sum: &sum},
		"ipfs:" + raw + "/a/b":               {Kind: IPFS, Path: raw + "/a/b"},
		"ipfs:f01701220" + digits:            {Kind: IPFS, Path: "f01701220" + digits},
	} {
		got, err := Parse(text)
		if err != nil || (got.Sum == nil) != (want.Sum == nil) || got.Sum != nil && *got.Sum != *want.Sum {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if got.Sum, want.Sum = nil, nil; got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "form of file:PATH",
		"firmware.bin":                      "form of file:PATH",
		"file:":                             "form of file:PATH",
		"file://host/x":                     "absolute path",
		"file:a\x00":                        "NUL",
		"ftp://example.org/x":               `"ftp" is no kind`,
		"https://example.org/":              "name of a file is missing",
		"https:x":                           "host is missing",
		"store:nix/store/x":                 "clean absolute path",
		"store:/nix/store/../../x":          "clean absolute path",
		"ipfs:hello":                        "is no CID",
		"ipfs:f0155000100/../x":             "no path of a file",
		"ipfs:f0155000100/a?b":              "no path of a file",
		"file:" + strings.Repeat("x", 9000): "9005 bytes",
	} {
		if l, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %+v, %v", text, l, err)
		}
	}
}

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"https://u:secret@example.org/x": "https://u:xxxxx@example.org/x", "file:a b": "file:a b", "ipfs:x": "ipfs:x",
	} {
		if got := Shown(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"file:///a%20b", "https://example.org/x?y", "annex:SHA256E-s1--12.x", "ipfs:f01551220" + strings.Repeat("0", 64) + "/a", "store:/nix/store/x"} {
		f.Add(s)
	}
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		l, err := Parse(text)
		if err == nil && (l.Path == "") == (l.URL == "") {
			t.Errorf("%q: %+v", text, l)
		}
		Shown(text)
	})
}
