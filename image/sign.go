package image

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

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
	block, err := pemBlock(r.hosts[keyCertificate].blob)
	if err != nil {
		r.problem(keyCertificate, err.Error(), "")
		return nil
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.problem(keyCertificate, err.Error(), "")
		return nil
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		r.problem(keyCertificate, "is the certificate of another key than sign-key", "")
		return nil
	}
	return &bootloader.Signer{Key: key, Certificate: certificate}
}

// privateKey reads an RSA key in one of the two forms that openssl writes.
func privateKey(b tree.Blob) (*rsa.PrivateKey, error) {
	block, err := pemBlock(b)
	switch {
	case err != nil:
		return nil, err
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "":
		return nil, fmt.Errorf("the key has a pass phrase")
	case block.Type == "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := any.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key of the kind %T, not RSA", any)
	}
	return key, nil
}

func pemBlock(b tree.Blob) (*pem.Block, error) {
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
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no PEM in it")
	}
	return block, nil
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
