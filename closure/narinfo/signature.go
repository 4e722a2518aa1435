package narinfo

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"imprint/internal/gcrypt"
)

// A Key verifies signatures (crypto.cc).
type Key struct {
	Name   string
	public ed25519.PublicKey
	guix   *gcrypt.Key // in place of public
}

// ParseKey reads a public key as "name:base64", the form of Nix's trusted-public-keys, or as Guix has it in /etc/guix/acl, "(public-key …)".
func ParseKey(text string) (Key, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "(") {
		k, err := gcrypt.ParseKey(text)
		if err != nil {
			return Key{}, fmt.Errorf("not a public key of Guix: %v", err)
		}
		return Key{shortName(k), nil, &k}, nil
	}
	name, digits, ok := strings.Cut(text, ":")
	if !ok || name == "" {
		return Key{}, fmt.Errorf("%.80q is not a public key: it has no name and colon at the beginning, as in cache.example.org-1:…", text)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(digits)
	switch {
	case err != nil || strings.ContainsAny(digits, "\r\n"):
		return Key{}, fmt.Errorf("%.80q is not a public key: no base64 follows the name", text)
	case len(b) == ed25519.PrivateKeySize:
		return Key{}, fmt.Errorf("the key %.80q is a secret one", name) // do not print the secret
	case len(b) != ed25519.PublicKeySize:
		return Key{}, fmt.Errorf("%.80q is not a public key: it has %d bytes, not %d", text, len(b), ed25519.PublicKeySize)
	}
	return Key{name, b, nil}, nil
}

// Fingerprint returns the text that is signed: the full paths of the item and its references, its hash and its size
// (ValidPathInfo::fingerprint). storeDir is the store directory.
func (i *Info) Fingerprint(storeDir string) string {
	refs := make([]string, len(i.References))
	for n, base := range i.References {
		refs[n] = storeDir + "/" + base
	}
	slices.Sort(refs)
	return strings.Join([]string{"1", i.StorePath, hash(i.NARHash), strconv.FormatInt(i.NARSize, 10), strings.Join(slices.Compact(refs), ",")}, ";")
}

// SignedBy reports whether one of the signatures is a valid one by one of the keys. Other signatures are ignored.
func (i *Info) SignedBy(keys []Key, storeDir string) bool {
	valid, _ := i.judge(keys, storeDir)
	return valid
}

// Wrong returns the names of those of the keys by which there is a signature that is not valid.
func (i *Info) Wrong(keys []Key, storeDir string) []string {
	_, wrong := i.judge(keys, storeDir)
	return wrong
}

// judge verifies the signatures that claim to be by one of the keys: whether one is valid, and the names of those of which none is.
func (i *Info) judge(keys []Key, storeDir string) (valid bool, wrong []string) {
	if g := i.guix(); g != nil && trustsGuix(g, keys) {
		if valid = i.covered && g.Hash == sha256.Sum256([]byte(i.above)) && g.Verify(); !valid {
			wrong = append(wrong, shortName(g.Key))
		}
	}
	fingerprint := []byte(i.Fingerprint(storeDir))
	for _, sig := range i.Sigs {
		name, digits, _ := strings.Cut(sig, ":")
		own := func(k Key) bool { return k.guix == nil && k.Name == name }
		if !slices.ContainsFunc(keys, own) {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(digits)
		verifies := func(k Key) bool { return own(k) && ed25519.Verify(k.public, fingerprint, b) }
		if err == nil && len(b) == ed25519.SignatureSize && slices.ContainsFunc(keys, verifies) {
			valid = true
		} else if !slices.Contains(wrong, name) {
			wrong = append(wrong, name)
		}
	}
	return valid, wrong
}

// Signers returns the names of the keys of all signatures, valid or not.
func (i *Info) Signers() (names []string) {
	for _, sig := range i.Sigs {
		name, _, _ := strings.Cut(sig, ":")
		names = append(names, name)
	}
	if g := i.guix(); g != nil {
		names = append(names, shortName(g.Key))
	}
	return names
}

// A SecretKey makes signatures.
type SecretKey struct {
	Name   string
	secret ed25519.PrivateKey
}

// ParseSecretKey reads a secret key as "name:base64", the form of the files that "nix key generate-secret" makes. Errors do not show it.
func ParseSecretKey(text string) (SecretKey, error) {
	name, digits, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok || name == "" {
		return SecretKey{}, fmt.Errorf("it is no secret key: it has no name and colon at the beginning")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(digits)
	switch {
	case err != nil:
		return SecretKey{}, fmt.Errorf("the secret key %.80q is damaged: no base64 follows the name", name)
	case len(b) == ed25519.PublicKeySize:
		return SecretKey{}, fmt.Errorf("the key %.80q is a public one; signatures are made with the secret one", name)
	case len(b) != ed25519.PrivateKeySize:
		return SecretKey{}, fmt.Errorf("the secret key %.80q is damaged: it has %d bytes, not %d", name, len(b), ed25519.PrivateKeySize)
	}
	return SecretKey{name, b}, nil
}

// Public returns the key that verifies the signatures.
func (k SecretKey) Public() Key {
	return Key{Name: k.Name, public: k.secret.Public().(ed25519.PublicKey)}
}

// Sign adds a signature, unless there is one by the key already, and sorts them.
func (i *Info) Sign(k SecretKey, storeDir string) {
	if i.SignedBy([]Key{k.Public()}, storeDir) {
		return
	}
	sum := ed25519.Sign(k.secret, []byte(i.Fingerprint(storeDir)))
	i.Sigs = append(i.Sigs, k.Name+":"+base64.StdEncoding.EncodeToString(sum))
	slices.Sort(i.Sigs)
}

// guix returns the signature of Guix; nil if there is none, or none that can be read.
func (i *Info) guix() *gcrypt.Signature {
	fields := strings.Split(i.Signature, ";")
	if len(fields) != 3 || fields[0] != "1" {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return nil
	}
	g, err := gcrypt.ParseSignature(string(b))
	if err != nil {
		return nil
	}
	return g
}

// TrustedGuix reports whether a signature is a valid one of its hash by one of the keys.
func TrustedGuix(g *gcrypt.Signature, keys []Key) bool {
	return trustsGuix(g, keys) && g.Verify()
}

// trustsGuix reports whether a signature claims to be by one of the keys.
func trustsGuix(g *gcrypt.Signature, keys []Key) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return k.guix != nil && *k.guix == g.Key })
}

// shortName returns a name for a key that has none.
func shortName(k gcrypt.Key) string { return "Guix's " + k.Short() }
