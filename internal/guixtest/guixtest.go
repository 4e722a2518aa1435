// Package guixtest serves a store as guix publish does (guix/scripts/publish.scm): texts about items, signed by ECDSA over Ed25519 in S-expressions, and
// their archives in several compressions. It is for tests.
package guixtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/closure/nar"
	"imprint/internal/demostore"
	"imprint/internal/hosttree"
	"imprint/internal/tree"

	"filippo.io/edwards25519"
	"github.com/klauspost/compress/zstd"
)

// A Publisher is a server of substitutes. Its fields may be changed between requests.
type Publisher struct {
	Odd  func(answer http.ResponseWriter, asked string) bool // answers some requests itself; may be nil
	Text func(text string) string                            // changes what is said about items, after it was signed; may be nil

	t     testing.TB
	files map[string][]byte
}

// New publishes all items of a store of Guix: the first of them with lzip alone, as a publisher without zstd does, and the others with both.
func New(t testing.TB, store *demostore.Store) *Publisher {
	t.Helper()
	p := &Publisher{t: t, files: map[string][]byte{
		"/nix-cache-info": []byte("StoreDir: " + demostore.Guix + "\nWantMassQuery: 0\nPriority: 100\n"),
	}}
	for i, item := range store.Items() {
		p.add(store, item, i == 0)
	}
	return p
}

// ServeHTTP implements http.Handler.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, ok := p.files[r.URL.Path]
	switch {
	case p.Odd != nil && p.Odd(w, r.URL.Path):
	case !ok:
		http.NotFound(w, r)
	case p.Text != nil && strings.HasSuffix(r.URL.Path, ".narinfo"):
		io.WriteString(w, p.Text(string(content)))
	default:
		w.Write(content)
	}
}

func (p *Publisher) add(store *demostore.Store, item demostore.Item, old bool) {
	p.t.Helper()
	archive := p.archive(store.Host(item.Path))
	if sha256.Sum256(archive) != item.Hash {
		p.t.Fatalf("%s has another hash", item.Path)
	}
	base := path.Base(item.Path)
	text := p.about(item)
	signature := base64.StdEncoding.EncodeToString([]byte(Sign(text)))
	text += "Signature: 1;publisher;" + signature + "\n"
	for _, by := range []string{"lzip", "zstd"} {
		if old && by == "zstd" {
			continue
		}
		packed := pack(p.t, by, archive)
		name := "nar/" + by + "/" + base
		p.files["/"+name] = packed
		text += fmt.Sprintf("URL: %s\nCompression: %s\nFileSize: %d\n", name, by, len(packed))
	}
	p.files["/"+base[:32]+".narinfo"] = []byte(text)
}

// about returns the part of a text that is signed.
func (p *Publisher) about(item demostore.Item) string {
	var references []string
	for _, r := range item.References {
		references = append(references, path.Base(r))
	}
	return fmt.Sprintf("StorePath: %s\nNarHash: sha256:%s\nNarSize: %d\nReferences: %s\n",
		item.Path, nar.EncodeBase32(item.Hash[:]), item.NARSize, strings.Join(references, " "))
}

func (p *Publisher) archive(at string) []byte {
	p.t.Helper()
	canonical := func(h hosttree.Host) *tree.Attr { return closure.CanonicalAttr(h.Kind, h.Mode) }
	n, err := (&hosttree.Scanner{Attr: canonical}).Read(at)
	var b bytes.Buffer
	if err == nil {
		err = nar.Write(&b, n, func(w io.Writer, n *tree.Node) error { return tree.Copy(p.t.Context(), w, n.Inode().Blob(), nil) })
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return b.Bytes()
}

// pack compresses an archive.
func pack(t testing.TB, by string, content []byte) []byte {
	t.Helper()
	if by == "zstd" {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return z.EncodeAll(content, nil)
	}
	c := exec.Command(by, "-c", "-0")
	c.Stdin = bytes.NewReader(content)
	out, err := c.Output()
	if err != nil {
		t.Fatal(by, err)
	}
	return out
}

// order is that of the base point (RFC 8032, section 5.1).
var order, _ = new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)

// secret is the key that signs, and Key the public one, as in /etc/guix/acl.
var (
	secret = number([]byte("the key of a test"))
	Key    = fmt.Sprintf("(public-key (ecc (curve Ed25519) (q #%X#)))", new(edwards25519.Point).ScalarBaseMult(secret).Bytes())
)

// Sign returns a signature of a text (FIPS 186-5, section 6.4.1).
func Sign(text string) string {
	hash := sha256.Sum256([]byte(text))
	k := number(append([]byte("a number for each text"), hash[:]...))
	x, _, z, _ := new(edwards25519.Point).ScalarBaseMult(k).ExtendedCoordinates()
	r := new(big.Int).Mod(integer(x.Multiply(x, z.Invert(z)).Bytes()), order)
	e := new(big.Int).SetBytes(hash[:])
	e.Rsh(e, 3)
	s := new(big.Int).Mul(r, integer(secret.Bytes()))
	s.Add(s, e).Mul(s, new(big.Int).ModInverse(integer(k.Bytes()), order)).Mod(s, order)
	return fmt.Sprintf("(signature (data (flags rfc6979) (hash sha256 #%X#)) (sig-val (ecdsa (r #%064X#) (s #%064X#))) %s)", hash[:], r, s, Key)
}

// number derives a number below the order from a text.
func number(seed []byte) *edwards25519.Scalar {
	wide := sha256.Sum256(seed)
	more := sha256.Sum256(wide[:])
	s, err := new(edwards25519.Scalar).SetUniformBytes(append(wide[:], more[:]...))
	if err != nil {
		panic(err) // for another number of bytes only
	}
	return s
}

// integer converts the 32 bytes of a number, the lowest first.
func integer(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
