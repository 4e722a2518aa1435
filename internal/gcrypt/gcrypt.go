// Package gcrypt verifies the signatures that Guix makes with libgcrypt: ECDSA (FIPS 186-5) with the curve Ed25519, which others use for EdDSA only.
// Keys and signatures are S-expressions:
//
//	(public-key (ecc (curve Ed25519) (q #…#)))
//	(signature (data (flags rfc6979) (hash sha256 #…#)) (sig-val (ecdsa (r #…#) (s #…#))) (public-key …))
//
// The point q is encoded as in EdDSA (RFC 8032, section 5.1.2), perhaps after a byte 0x40.
package gcrypt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"imprint/internal/sexp"

	"filippo.io/edwards25519"
)

// A Key is a public key.
type Key struct{ q [32]byte }

// order is the order of the base point (RFC 8032, section 5.1).
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// ParseKey reads a key.
func ParseKey(text string) (Key, error) {
	n, err := sexp.Parse(text)
	if err != nil {
		return Key{}, err
	}
	return keyOf(n)
}

func keyOf(n sexp.Node) (k Key, err error) {
	if n.Is("private-key") || n.Is("key-data") {
		return k, errors.New("it is a secret key") // do not print it
	}
	ecc, ok := n.Find("ecc")
	if !n.Is("public-key") || !ok {
		return k, errors.New("it is not of the form (public-key (ecc (curve Ed25519) (q #…#)))")
	}
	if curve, _ := ecc.Value("curve"); curve != "Ed25519" {
		return k, fmt.Errorf("the curve %.40q is not supported, only Ed25519 is", curve)
	}
	if _, ok := ecc.Find("flags"); ok {
		return k, errors.New("keys with flags are not supported")
	}
	q, _ := ecc.Value("q")
	if len(q) == 33 {
		q = strings.TrimPrefix(q, "\x40")
	}
	if len(q) != len(k.q) {
		return k, fmt.Errorf("q has %d bytes, not 32", len(q))
	}
	copy(k.q[:], q)
	p, err := new(edwards25519.Point).SetBytes(k.q[:])
	if err != nil || new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return k, errors.New("q is not a point of the curve that can be a key")
	}
	return k, nil
}

// String returns the key as Guix writes it, on one line.
func (k Key) String() string {
	return fmt.Sprintf("(public-key (ecc (curve Ed25519) (q #%X#)))", k.q[:])
}

// Short returns the first digits of the key, enough to recognise it.
func (k Key) Short() string { return fmt.Sprintf("%X…", k.q[:4]) }

// A Signature is a signature with what it says about itself, not verified.
type Signature struct {
	Hash [sha256.Size]byte // of what is signed
	Key  Key
	r, s *big.Int
}

// ParseSignature reads a signature.
func ParseSignature(text string) (*Signature, error) {
	n, err := sexp.Parse(text)
	if err != nil {
		return nil, err
	}
	data, ok1 := n.Find("data")
	val, ok2 := n.Find("sig-val")
	key, ok3 := n.Find("public-key")
	if !n.Is("signature") || !ok1 || !ok2 || !ok3 {
		return nil, errors.New("it is not of the form (signature (data …) (sig-val …) (public-key …))")
	}
	s := &Signature{}
	hash, _ := data.Find("hash")
	if len(hash.List) != 3 || hash.List[1].Text != "sha256" || len(hash.List[2].Text) != len(s.Hash) {
		return nil, errors.New("it has no SHA-256")
	}
	copy(s.Hash[:], hash.List[2].Text)
	if s.Key, err = keyOf(key); err != nil {
		return nil, fmt.Errorf("its key: %w", err)
	}
	values, ok := val.Find("ecdsa")
	if !ok {
		return nil, errors.New("it is not one of ECDSA")
	}
	for name, to := range map[string]**big.Int{"r": &s.r, "s": &s.s} {
		b, _ := values.Value(name)
		if len(b) > 64 {
			return nil, fmt.Errorf("%s has %d bytes", name, len(b))
		}
		*to = new(big.Int).SetBytes([]byte(b))
	}
	return s, nil
}

// Verify reports whether the key of the signature has signed its hash (FIPS 186-5, section 6.4.2). The coordinate compared is that of the Edwards
// form of the curve, as libgcrypt has it.
func (s *Signature) Verify() bool {
	if s.r.Sign() <= 0 || s.s.Sign() <= 0 || s.r.Cmp(order) >= 0 || s.s.Cmp(order) >= 0 {
		return false
	}
	q, err := new(edwards25519.Point).SetBytes(s.Key.q[:])
	if err != nil {
		return false
	}
	e := new(big.Int).SetBytes(s.Hash[:])
	e.Rsh(e, uint(8*len(s.Hash)-order.BitLen()))
	w := new(big.Int).ModInverse(s.s, order)
	sum := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(scalar(new(big.Int).Mul(s.r, w)), q, scalar(new(big.Int).Mul(e, w)))
	if sum.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return false
	}
	x := affine(sum)
	return x.Mod(x, order).Cmp(s.r) == 0
}

// scalar returns a number modulo the order.
func scalar(n *big.Int) *edwards25519.Scalar {
	b := new(big.Int).Mod(n, order).FillBytes(make([]byte, 32))
	slices.Reverse(b)
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(b)
	if err != nil {
		panic("a number below the order is canonical")
	}
	return s
}

// affine returns the first coordinate of a point.
func affine(p *edwards25519.Point) *big.Int {
	x, _, z, _ := p.ExtendedCoordinates()
	b := x.Multiply(x, z.Invert(z)).Bytes()
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
