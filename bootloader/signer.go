package bootloader

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"imprint/internal/diag"
	"imprint/internal/tree"
)

// A Signer signs EFI programs for Secure Boot.
type Signer struct {
	Key          *rsa.PrivateKey
	Certificates []*x509.Certificate // the key's, then the chain to one that the firmware trusts
}

// maxPEM is the maximum size of a key or certificate file in bytes.
const maxPEM = 1 << 20

// maxKey is the maximum size of the DER form of a key in bytes, that of 16384 bits: checking a longer key takes minutes, and
// no firmware verifies its signatures.
const maxKey = 10 << 10

// ReadKey reads an RSA key in either PEM form that openssl writes. Errors are a [diag.Mistake].
func ReadKey(b tree.Blob) (*rsa.PrivateKey, error) {
	key, err := privateKey(b)
	if err != nil {
		return nil, diag.Mistake{Text: err.Error(), Hint: "use an RSA key without a passphrase; openssl rsa -in KEY -out PLAIN removes one"}
	}
	return key, nil
}

// privateKey decodes an RSA key, which openssl writes in PKCS #1 ("RSA PRIVATE KEY") or PKCS #8 ("PRIVATE KEY").
func privateKey(b tree.Blob) (*rsa.PrivateKey, error) {
	blocks, err := pemBlocks(b, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	switch block := blocks[0]; {
	case len(block.Bytes) > maxKey:
		return nil, fmt.Errorf("the key has %d bytes, more than an RSA key of 16384 bits", len(block.Bytes))
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "":
		return nil, fmt.Errorf("the key has a passphrase")
	case block.Type == "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type != "PRIVATE KEY":
		return nil, fmt.Errorf("the key is an %s, not an RSA one", block.Type)
	}
	any, err := x509.ParsePKCS8PrivateKey(blocks[0].Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := any.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key is an %s, not an RSA one", strings.TrimPrefix(fmt.Sprintf("%T", any), "*"))
	}
	return key, nil
}

// NewSigner reads the certificate of a key, followed by those of its chain. Errors may be a [diag.Mistake].
func NewSigner(key *rsa.PrivateKey, certificate tree.Blob) (*Signer, error) {
	blocks, err := pemBlocks(certificate, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	s := &Signer{Key: key}
	for _, block := range blocks {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		s.Certificates = append(s.Certificates, c)
	}
	if !key.PublicKey.Equal(s.Certificates[0].PublicKey) {
		return nil, diag.Mistake{Text: "is not the certificate of sign-key", Hint: "the key's certificate must be the first of a chain"}
	}
	return s, nil
}

// pemBlocks returns the blocks of a PEM file whose type ends in kind, at least one. Others are skipped: openssl may write them
// too.
func pemBlocks(b tree.Blob, kind string) (blocks []*pem.Block, err error) {
	if b.Size() > maxPEM {
		return nil, fmt.Errorf("is %d bytes long, more than PEM needs", b.Size())
	}
	text, err := read(b)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			blocks = append(blocks, block)
		}
	}
	if blocks == nil {
		return nil, fmt.Errorf("contains no %s in PEM", strings.ToLower(kind))
	}
	return blocks, nil
}
