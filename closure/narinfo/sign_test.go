package narinfo

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
)

// A signature is valid by its key, and is there once, among others in the order of the names.
func TestSign(t *testing.T) {
	secret := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	k, err := ParseSecretKey("b-key-1:" + base64.StdEncoding.EncodeToString(secret) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	i := &Info{StorePath: "/nix/store/x", NARSize: 112, Sigs: []string{"c-key:AAAA"}}
	for range 2 {
		i.Sign(k, "/nix/store")
	}
	if len(i.Sigs) != 2 || !strings.HasPrefix(i.Sigs[0], "b-key-1:") || !i.SignedBy([]Key{k.Public()}, "/nix/store") || i.SignedBy([]Key{k.Public()}, "/gnu/store") && len(i.References) > 0 {
		t.Errorf("%q", i.Sigs)
	}
	i.NARSize++
	if i.SignedBy([]Key{k.Public()}, "/nix/store") {
		t.Error("the signature is valid for another size")
	}
}

func TestParseSecretKeyRefuses(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(make([]byte, ed25519.PrivateKeySize))
	for text, want := range map[string]string{
		"": "no name", long: "no name", ":" + long: "no name", "a:!": "no base64", "a:AAAA": "it has 3 bytes, not 64",
		"a:" + base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize)): "a public one",
	} {
		_, err := ParseSecretKey(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "AAAAA") {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}
