package source

import (
	"context"
	"fmt"
	"strings"

	"imprint/closure"
	"imprint/closure/address"
	"imprint/closure/nar"
	"imprint/closure/narinfo"
	"imprint/internal/cas"
	"imprint/internal/tree"
)

// trust returns an error unless an item has a valid signature by a trusted key, or needs none because its path follows from its contents and its
// references, as Nix has it (checkSignatures in store-api.cc). Builders that sign what they build leave sources and texts unsigned.
//
// The NAR hash says whether the contents are those of the path; for a file that is addressed by its own hash, the file has to be compared with that, which
// is returned.
func (c *Cache) trust(info *closure.Info, text *narinfo.Info) (file *nar.Digest, err error) {
	if len(c.Keys) == 0 || text.SignedBy(c.Keys, c.Flavor.StoreDir) {
		return nil, nil
	}
	i := address.Item{Path: info.Path.String(), NARHash: info.NARHash}
	for _, r := range info.References {
		i.References = append(i.References, r.String())
	}
	if i.File = fileOf(info.CA); info.CA == "" || address.Of(i) != info.CA {
		return nil, c.untrusted(info.Path, text)
	}
	return i.File, nil
}

// fileOf returns the SHA-256 of a file in a content address; nil if there is none.
func fileOf(ca string) *nar.Digest {
	for _, prefix := range []string{"text:", "fixed:"} {
		if hash, ok := strings.CutPrefix(ca, prefix); ok && strings.HasPrefix(hash, "sha256:") {
			if d, err := nar.ParseHash(hash); err == nil {
				return &d
			}
		}
	}
	return nil
}

// prove compares an item that was fetched with its content address, if that is what it is trusted for.
func (c *Cache) prove(ctx context.Context, info *closure.Info) error {
	e := c.entries[info.Path]
	if e.file == nil {
		return nil
	}
	n, err := c.Item(ctx, info.Path)
	if err != nil {
		return err
	}
	same := n.Kind() == tree.File && n.Attr.Mode&0o100 == 0
	if same {
		hash, err := hashOf(ctx, n.Blob())
		if err != nil {
			return err
		}
		same = *hash == *e.file
	}
	if !same {
		return fmt.Errorf("%v from %v/%s: %w: its content address is %s", info.Path, c, e.text.URL, cas.ErrMismatch, info.CA)
	}
	return nil
}

// untrusted returns the error about an item without a valid signature by one of the keys.
func (c *Cache) untrusted(p closure.Path, text *narinfo.Info) error {
	names := text.Signers()
	if wrong := text.Wrong(c.Keys, c.Flavor.StoreDir); len(wrong) > 0 {
		return &InvalidError{c, fmt.Sprintf("%s: the signature of %v by %s is not valid", nameOf(p), p, quoted(wrong)),
			"path, hash, size or references are not those that were signed, or the cache has a new key of that name"}
	}
	if len(names) == 0 {
		return &InvalidError{c, fmt.Sprintf("%v is not signed", p), "sign it there (nix store sign), or name no keys if you trust everything in the cache"}
	}
	return &InvalidError{c, fmt.Sprintf("%v is signed by %s, and not by a trusted key", p, quoted(names)), "add the public key, if you trust it: " + trusting}
}

// trusting says where a public key is added.
const trusting = "trusted-public-keys of the source, or --trusted-public-key"

// mostShown is the number of keys that a message lists.
const mostShown = 5

// quoted returns the names of the first of some keys.
func quoted(names []string) string {
	var b []string
	for _, name := range names[:min(mostShown, len(names))] {
		b = append(b, fmt.Sprintf("%.60q", name))
	}
	return strings.Join(b, ", ")
}
