package narinfo

import (
	_ "embed"
	"slices"
	"strings"
	"testing"
)

// guixText is a text as guix publish writes it, signed with libgcrypt (vectors.c of package gcrypt).
//
//go:embed testdata/guix.narinfo
var guixText string

//go:embed testdata/guix.pub
var guixKey string

// A signature of Guix is valid for the text above it, by its own key.
func TestGuix(t *testing.T) {
	k, err := ParseKey(guixKey)
	if err != nil {
		t.Fatal(err)
	}
	i, err := Parse(guixText)
	if err != nil {
		t.Fatal(err)
	}
	if !i.SignedBy([]Key{k}, "/gnu/store") {
		t.Error("not signed")
	}
	if names := i.Signers(); len(names) != 1 || names[0] != k.Name || !strings.HasPrefix(k.Name, "Guix's ") {
		t.Errorf("signed by %q", names)
	}
	other, err := ParseKey("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=")
	if err != nil || i.SignedBy([]Key{other}, "/gnu/store") || i.SignedBy(nil, "/gnu/store") {
		t.Error("signed by a key that has not")
	}
	below := strings.Index(guixText, "Signature:")
	for what, text := range map[string]string{
		"path":          strings.Replace(guixText, "hello", "hallo", 1),
		"hash":          strings.Replace(guixText, "1impfw8z", "1impfw80", 1),
		"size":          strings.Replace(guixText, "234960", "234961", 1),
		"reference":     strings.Replace(guixText, "-glibc", "-other", 1),
		"more above":    "System: x\n" + guixText,
		"two lines":     strings.Replace(guixText, "NarSize", "\nNarSize", 1),
		"not base64":    strings.Replace(guixText, "org;", "org;*", 1),
		"version":       strings.Replace(guixText, "1;berlin", "2;berlin", 1),
		"nothing above": guixText[below:] + guixText[:below],
	} {
		if i, err := Parse(text); err == nil && i.SignedBy([]Key{k}, "/gnu/store") {
			t.Errorf("%s: another text is signed, too", what)
		}
	}
}

// Of several files the one that ranks highest is chosen.
func TestChoose(t *testing.T) {
	for best, size := range map[string]int64{"gzip": 70000, "zstd": 60000, "lzip": 0, "other": 0} {
		i, err := Parse(guixText)
		if err != nil {
			t.Fatal(err)
		}
		i.Choose(func(by string) int { return slices.Index([]string{best}, by) })
		want := best
		if best == "other" {
			want = "lzip" // the last one, if none is better
		}
		if i.Compression != want || i.FileSize != size || !strings.HasPrefix(i.URL, "nar/"+want+"/") {
			t.Errorf("%s: %+v", best, i)
		}
	}
	if _, err := Parse(guixText + strings.Repeat("URL: x\n", 20)); err == nil || !strings.Contains(err.Error(), "more than 20 files") {
		t.Error(err)
	}
}

func TestGuixKeys(t *testing.T) {
	if _, err := ParseKey("(private-key (ecc (curve Ed25519) (d #4242#)))"); err == nil || !strings.Contains(err.Error(), "secret key") || strings.Contains(err.Error(), "42") {
		t.Error(err)
	}
}
