package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/narinfo"
)

// The items of a stream of guix archive are signed, here with libgcrypt (vectors.c of package gcrypt) over their bytes from the archive to the
// deriver, each with another key. Signatures are checked, and with keys they have to be by one of them.
func TestGuixExport(t *testing.T) {
	good, err := os.ReadFile("testdata/guix.export")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/guix.pub")
	if err != nil {
		t.Fatal(err)
	}
	var keys []narinfo.Key
	for line := range strings.Lines(string(text)) {
		k, err := narinfo.ParseKey(line)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	open := func(content string, keys ...narinfo.Key) (*Export, error) {
		name := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return OpenExport(t.Context(), ExportOptions{File: name, Scratch: t.TempDir(), Flavor: closure.Guix, Keys: keys})
	}
	for _, trusted := range [][]narinfo.Key{nil, keys} {
		x, err := open(string(good), trusted...)
		if err != nil {
			t.Fatal(err)
		}
		root, err := closure.Guix.ParsePath("/gnu/store/0d71ygfwbmy1xjlbj1v027dfmy9cqavy-b")
		if err != nil {
			t.Fatal(err)
		}
		all, err := closure.Compute(t.Context(), []closure.Store{x}, []closure.Path{root})
		if err != nil || len(all.Items) != 2 {
			t.Fatal(err)
		}
		check(t, all)
	}
	for what, c := range map[string]struct {
		content string
		keys    []narinfo.Key
		want    string
	}{
		"one key":       {string(good), keys[:1], "-b is signed by (public-key (ecc (curve Ed25519) (q #"},
		"contents":      {strings.Replace(string(good), "hello", "hallo", 1), nil, "-a by (public-key (ecc (curve Ed25519) (q #"},
		"reference":     {strings.Replace(string(good), "bidkcs01", "bidkcs00", 1), nil, "is not valid: path, contents or references"},
		"no expression": {strings.Replace(string(good), "(signature", "[signature", 1), nil, "not an S-expression"},
	} {
		_, err := open(c.content, c.keys...)
		var invalid *InvalidError
		if !says(err, c.want) || !errors.As(err, &invalid) || invalid.Source == nil {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
	end := strings.Index(string(good), "(signature") - 16
	unsigned := string(good[:end]) + strings.Repeat("\x00", 16)
	if _, err := open(unsigned); err != nil {
		t.Error(err)
	}
	if _, err := open(unsigned, keys...); !says(err, "-a is not signed") {
		t.Error(err)
	}
}

// A cache as guix publish serves it, signed with libgcrypt: an item has several files, of which the one that is fastest to unpack is taken.
func TestGuixCache(t *testing.T) {
	text, err := os.ReadFile("testdata/guix-cache/key.pub")
	if err != nil {
		t.Fatal(err)
	}
	own, err := narinfo.ParseKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	root, err := closure.Guix.ParsePath("/gnu/store/p4pclmv1gyja5kzc26npqpia1qqxrf0l-hello")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cache")
	if err := os.CopyFS(dir, os.DirFS("testdata/guix-cache")); err != nil {
		t.Fatal(err)
	}
	realise := func(k narinfo.Key) error {
		c, err := OpenCache(t.Context(), CacheOptions{URL: "file://" + dir, Flavor: closure.Guix, Keys: []narinfo.Key{k}, Keep: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all, err := closure.Compute(t.Context(), []closure.Store{c}, []closure.Path{root})
		if err == nil {
			err = Realise(t.Context(), all, nil)
		}
		if err == nil {
			check(t, all)
		}
		return err
	}
	if err := realise(own); err != nil {
		t.Error(err)
	}
	if err := realise(trusted(t)[0]); !says(err, `-hello is signed by "Guix's `) {
		t.Error(err)
	}
	name := filepath.Join(dir, "p4pclmv1gyja5kzc26npqpia1qqxrf0l.narinfo")
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(good), "NarSize: ", "NarSize: 1", 1)
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := realise(own); !says(err, `-hello by "Guix's `) || !says(err, "is not valid") {
		t.Error(err)
	}
	lzipOnly := string(good[:strings.Index(string(good), "URL: nar/gzip")])
	if err := os.WriteFile(name, []byte(lzipOnly), 0o644); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(filepath.Join(dir, "nar/gzip"))
	if err := realise(own); err != nil {
		t.Error(err)
	}
}
