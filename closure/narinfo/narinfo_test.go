package narinfo

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imprint/internal/hosttest"
)

const hashText = "sha256:0ip26j2h11n1kgkz36rl4akv694yz65hr72q4kv4b3lxcbi65b3p"

const sample = `StorePath: /nix/store/p4pclmv1gyja5kzc26npqpia1qqxrf0l-ruby-2.7.3
URL: nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz
Compression: xz
FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3
FileSize: 4029176
NarHash: sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h
NarSize: 18735072
References: 0d71ygfwbmy1xjlbj1v027dfmy9cqavy-libffi-3.3 p4pclmv1gyja5kzc26npqpia1qqxrf0l-ruby-2.7.3
Deriver: bidkcs01mww363s4s7akdhbl6ws66b0z-ruby-2.7.3.drv
Sig: cache.nixos.org-1:GrGV/Ls10TzoOaCnrcAqmPbKXFLLSBDeGNh5EQGKyuGA4K1wv1LcRVb6/sU+NAPK8lDiam8XcdJzUngmdhfTBQ==
`

func TestRoundTrip(t *testing.T) {
	i, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample, i.String()); d != "" {
		t.Error(d)
	}
	if i.NARSize != 18735072 || len(i.References) != 2 || i.Signers()[0] != "cache.nixos.org-1" {
		t.Errorf("%+v", i)
	}
	least := "StorePath: /s/a\nURL: a\nNarHash: " + hashText + "\nNarSize: 112\nDeriver: unknown-deriver\nSystem: x\nReferences:"
	if i, err = Parse(least); err != nil || i.Compression != "bzip2" || i.Deriver != "" || len(i.References) > 0 {
		t.Errorf("%+v, %v", i, err)
	}
}

// A signature is valid by the key that has made it, for what was signed; the one of the sample is of another text.
func TestSignature(t *testing.T) {
	k, err := ParseKey("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=")
	if err != nil {
		t.Fatal(err)
	}
	public, secret, _ := ed25519.GenerateKey(strings.NewReader(strings.Repeat("seed", 20)))
	own, err := ParseKey("own:" + base64.StdEncoding.EncodeToString(public))
	if err != nil {
		t.Fatal(err)
	}
	i, _ := Parse(sample)
	if i.SignedBy([]Key{own}, "/nix/store") {
		t.Error("signed by a key that has not")
	}
	if wrong := i.Wrong([]Key{own}, "/nix/store"); len(wrong) > 0 {
		t.Errorf("wrong by %q", wrong)
	}
	i.Sigs = append([]string{"own:", "own:AAAA", "none", "own:" + i.Sigs[0][len("cache.nixos.org-1:"):]}, i.Sigs...)
	if i.SignedBy([]Key{own}, "/nix/store") {
		t.Error("signed by another key")
	}
	if wrong := i.Wrong([]Key{k, own}, "/nix/store"); strings.Join(wrong, " ") != "own cache.nixos.org-1" {
		t.Errorf("wrong by %q", wrong)
	}
	i.Sigs = append(i.Sigs, "own:"+base64.StdEncoding.EncodeToString(ed25519.Sign(secret, []byte(i.Fingerprint("/nix/store")))))
	if !i.SignedBy([]Key{k, own}, "/nix/store") {
		t.Error("not signed by its key")
	}
	for what, change := range map[string]func(*Info){
		"path":       func(i *Info) { i.StorePath += "x" },
		"hash":       func(i *Info) { i.NARHash[0]++ },
		"size":       func(i *Info) { i.NARSize++ },
		"references": func(i *Info) { i.References = i.References[1:] },
		"name":       func(i *Info) { i.Sigs = []string{"x" + i.Sigs[len(i.Sigs)-1]} },
	} {
		c := *i
		change(&c)
		if c.SignedBy([]Key{k, own}, "/nix/store") {
			t.Errorf("another %s is signed too", what)
		}
	}
}

// Texts and signatures of Nix's are read, and written the same.
func TestAsNix(t *testing.T) {
	hosttest.Need(t, "nix", "nix-store")
	dir := t.TempDir()
	nix := func(args ...string) string {
		c := exec.Command(args[0], args[1:]...)
		c.Env = append(os.Environ(), "NIX_REMOTE=local?root="+dir+"/store", "HOME="+dir, "NIX_CONF_DIR="+dir, "NIX_CONFIG=experimental-features = nix-command")
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	secret, name := filepath.Join(dir, "secret"), filepath.Join(dir, "x")
	os.WriteFile(secret, []byte(nix("nix", "key", "generate-secret", "--key-name", "test-1")), 0o600)
	os.WriteFile(name, []byte("x"), 0o644)
	path := nix("nix-store", "--add", name)
	nix("nix", "copy", "--no-check-sigs", "--to", "file://"+dir+"/cache?secret-key="+secret, path)
	all, _ := filepath.Glob(dir + "/cache/*.narinfo")
	if len(all) != 1 {
		t.Fatal(all)
	}
	text, _ := os.ReadFile(all[0])
	i, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(text), i.String()); d != "" {
		t.Error(d)
	}
	secretText, _ := os.ReadFile(secret)
	_, digits, _ := strings.Cut(string(secretText), ":")
	b, _ := base64.StdEncoding.DecodeString(digits)
	k, err := ParseKey("test-1:" + base64.StdEncoding.EncodeToString(b[32:]))
	if err != nil || !i.SignedBy([]Key{k}, "/nix/store") {
		t.Errorf("%v: the signature is not right: %s", err, i)
	}
	text, _ = os.ReadFile(dir + "/cache/" + CacheFile)
	if store, err := ParseCache(string(text)); store != "/nix/store" || err != nil {
		t.Errorf("%q, %v", store, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "StorePath is missing",
		"StorePath: /s/a\n":              "URL is missing",
		"x\n":                            `line 1: "x" is not a key, a colon and a value`,
		"A: b\n\nC: d\n":                 "line 2",
		"NarSize: -1\n":                  `NarSize: "-1" is not a number of bytes`,
		"NarSize: 1e3\n":                 "not a number of bytes",
		"NarHash: sha1:x\n":              "NarHash: read hash",
		"FileHash: x\n":                  "FileHash: read hash",
		"URL: a\nURL: b\n":               "line 2: URL is defined twice",
		strings.Repeat("Sig: a\n", 1001): "more than 1000 signatures",
		"NarSize: 9223372036854775808\n": "not a number of bytes",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "StoreDir is missing", "<html>": "line 1", "StoreDir: /a\nStoreDir: /b\n": "line 2: StoreDir is defined twice",
	} {
		if _, err := ParseCache(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no name", "a": "no name", ":AAAA": "no name", "a:!": "no base64", "a:AAAA": "it has 3 bytes, not 32",
		"a:" + base64.StdEncoding.EncodeToString(make([]byte, 64)): `the key "a" is a secret one`,
	} {
		if _, err := ParseKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// What Parse accepts is the same after it was written and read again.
func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("StorePath: /s/a\nURL: a\nNarHash: " + hashText + "\nNarSize: 112\nCA: text:sha256:x\nSig: a:b\nSig: c")
	hosttest.Fuzz(f, func(t *testing.T, text string) {
		i, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(i.String())
		if err != nil || again.String() != i.String() {
			t.Errorf("%q, then %v", i.String(), err)
		}
	})
}

func FuzzSignedBy(f *testing.F) {
	k, _ := ParseKey("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=")
	f.Add("a:b")
	f.Add("cache.nixos.org-1:GrGV/Ls10TzoOaCnrcAqmPbKXFLLSBDeGNh5EQGKyuGA4K1wv1LcRVb6/sU+NAPK8lDiam8XcdJzUngmdhfTBQ==")
	hosttest.Fuzz(f, func(t *testing.T, sig string) {
		if (&Info{Sigs: []string{sig}}).SignedBy([]Key{k}, "/nix/store") {
			t.Errorf("%q is no signature of an empty item", sig)
		}
	})
}
