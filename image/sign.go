package image

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"strings"

	"imprint/bootloader"
	"imprint/internal/tree"
)

// Keys of the language that name what signs.
const (
	keySign        = "boot.sign-key"
	keyCertificate = "boot.sign-certificate"
)

// maxPEM is how many bytes a key or a certificate may have.
const maxPEM = 1 << 20

// signer reads the key and the certificate that the description names; nil when it names none, or when there is a problem.
func (r *resolver) signer() *bootloader.Signer {
	if r.hosts[keySign] == nil || r.hosts[keyCertificate] == nil {
		return nil
	}
	key, err := privateKey(r.hosts[keySign].blob)
	if err != nil {
		r.problem(keySign, err.Error(), "an RSA key without a pass phrase: openssl rsa -in KEY -out PLAIN takes one off")
		return nil
	}
	certificates, err := certificates(r.hosts[keyCertificate].blob)
	switch {
	case err != nil:
		r.problem(keyCertificate, err.Error(), "")
	case !key.PublicKey.Equal(certificates[0].PublicKey):
		r.problem(keyCertificate, "is the certificate of another key than sign-key", "the key's certificate is the first one of a chain")
	default:
		return &bootloader.Signer{Key: key, Certificates: certificates}
	}
	return nil
}

// certificates reads the key's certificate, and behind it those of a chain.
func certificates(b tree.Blob) (list []*x509.Certificate, err error) {
	blocks, err := pemBlocks(b, "CERTIFICATE")
	for _, block := range blocks {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, err
}

// privateKey reads an RSA key in one of the two forms that openssl writes.
func privateKey(b tree.Blob) (*rsa.PrivateKey, error) {
	blocks, err := pemBlocks(b, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	switch block := blocks[0]; {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "":
		return nil, fmt.Errorf("the key has a pass phrase")
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

// pemBlocks gives the blocks of a PEM file whose type ends in kind, at least one: openssl may have written others beside them.
func pemBlocks(b tree.Blob, kind string) (blocks []*pem.Block, err error) {
	if b.Size() > maxPEM {
		return nil, fmt.Errorf("%d bytes, more than PEM needs", b.Size())
	}
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.NewSectionReader(r, 0, b.Size()))
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			blocks = append(blocks, block)
		}
	}
	if blocks == nil {
		return nil, fmt.Errorf("there is no %s in it, in the form of PEM", strings.ToLower(kind))
	}
	return blocks, nil
}

// pinFiles pins contents that are put together of several, so that a change of one of them is found when they are written.
func (r *resolver) pinFiles(ctx context.Context, files []bootloader.File) error {
	for _, f := range files {
		if !tree.Composed(f.Content) {
			continue
		}
		sum, _, err := hashBlob(ctx, f.Content)
		if err != nil {
			return err
		}
		r.plan.pins[f.Content] = sum
	}
	return nil
}
