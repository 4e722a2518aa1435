package pe

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"

	"imprint/internal/tree"
	"imprint/internal/units"
)

// maxHead is the number of bytes of an image that are read for its headers.
const maxHead = 64 << 10

// Sign returns the image with a signature by an RSA key as Secure Boot requires it: over SHA-256, with the certificates, of which the first
// is the key's. The signature holds no time, and the scheme (RFC 8017, 8.2) is deterministic: the same image, key and certificates result in the
// same bytes.
func Sign(unsigned tree.Blob, key *rsa.PrivateKey, certificates []*x509.Certificate) (tree.Blob, error) {
	head, err := tree.ReadHead(unsigned, maxHead)
	if err != nil {
		return nil, err
	}
	i, err := parse(head)
	switch {
	case err != nil:
		return nil, err
	case i.signed():
		return nil, fmt.Errorf("the image is signed already")
	}
	if end, gap := i.gap(); gap || end != unsigned.Size() {
		return nil, fmt.Errorf("the image has bytes outside of its sections, which signers treat differently: the sections end at byte %d of %d",
			end, unsigned.Size())
	}
	padded := units.Align(unsigned.Size(), certificateAlign)
	digest, err := i.digest(unsigned, padded)
	if err != nil {
		return nil, err
	}
	signature, err := signedData(digest, key, certificates)
	if err != nil {
		return nil, err
	}
	table := certificateTable(signature)
	i.setOpt32(optCertificates, padded)
	i.setOpt32(optCertificates+4, int64(len(table)))
	rest := tree.Slice(unsigned, int64(len(head)), unsigned.Size()-int64(len(head)))
	return tree.Concat(tree.Text(string(i.head)), rest, tree.Text(string(make([]byte, padded-unsigned.Size()))), tree.Text(string(table))), nil
}

// gap returns where the sections end in the file, and whether there is anything between them.
func (i image) gap() (end int64, gap bool) {
	type span struct{ start, end int64 }
	var spans []span
	for n := range i.sections {
		if s := i.section(n); le.Uint32(s[16:]) != 0 {
			start := int64(le.Uint32(s[20:]))
			spans = append(spans, span{start, start + int64(le.Uint32(s[16:]))})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	end = i.opt32(optHeaderSize)
	for _, s := range spans {
		gap, end = gap || s.start != end, s.end
	}
	return end, gap
}

// certificateAlign is the alignment of the certificate table and of each certificate in it (PE, "The Attribute Certificate Table").
const certificateAlign = 8

// digest returns the SHA-256 of the image without its checksum, the entry of the certificate table, and that table (Authenticode,
// "Calculating the PE Image Hash"). The image is padded with zeros to the place of that table.
func (i image) digest(unsigned tree.Blob, padded int64) ([]byte, error) {
	h := sha256.New()
	from, size := int64(0), unsigned.Size()
	opt := i.at + optional
	for _, skip := range [][2]int64{{opt + optChecksum, 4}, {opt + optCertificates, 8}, {size, 0}} {
		if err := tree.Copy(context.Background(), h, tree.Slice(unsigned, from, skip[0]-from), nil); err != nil {
			return nil, err
		}
		from = skip[0] + skip[1]
	}
	h.Write(make([]byte, padded-size))
	return h.Sum(nil), nil
}

// certificateTable is a table with one certificate of the type for PKCS #7 signed data (PE, "Certificate Data").
func certificateTable(signature []byte) []byte {
	const header, revision2, signedDataType = 8, 0x0200, 0x0002
	table := make([]byte, units.Align(int64(header+len(signature)), certificateAlign))
	le.PutUint32(table, uint32(len(table)))
	le.PutUint16(table[4:], revision2)
	le.PutUint16(table[6:], signedDataType)
	copy(table[header:], signature)
	return table
}

// Object identifiers (RFC 2315, RFC 8017, Authenticode).
var (
	oidSignedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidRSA             = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256          = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidIndirectContent = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	oidPEImage         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
)

// peImageData is SpcPeImageData with no flags and an empty file name; firmware ignores it.
var peImageData = asn1.RawValue{FullBytes: []byte{0x30, 0x09, 0x03, 0x01, 0x00, 0xa0, 0x04, 0xa2, 0x02, 0x80, 0x00}}

// algorithm is an AlgorithmIdentifier whose parameters are NULL.
type algorithm struct {
	OID        asn1.ObjectIdentifier
	Parameters asn1.RawValue
}

func algorithmOf(oid asn1.ObjectIdentifier) algorithm { return algorithm{oid, asn1.NullRawValue} }

// indirectContent is SpcIndirectDataContent: the digest that is signed in place of the image.
type indirectContent struct {
	Data struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	Digest struct {
		Algorithm algorithm
		Digest    []byte
	}
}

// contentInfo is ContentInfo (RFC 2315, 7).
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content any `asn1:"explicit,tag:0"`
}

// pkcs7 is SignedData (RFC 2315, 9.1).
type pkcs7 struct {
	Version      int
	Algorithms   []algorithm `asn1:"set"`
	Content      contentInfo
	Certificates asn1.RawValue
	Signers      []signer `asn1:"set"`
}

// signer is SignerInfo (RFC 2315, 9.2).
type signer struct {
	Version    int
	Issuer     issuer
	Digest     algorithm
	Attributes asn1.RawValue
	Encryption algorithm
	Signature  []byte
}

// issuer is IssuerAndSerialNumber (RFC 2315, 6.7), which names the certificate of the key.
type issuer struct {
	Name   asn1.RawValue
	Serial *big.Int
}

// attribute is Attribute (X.501): a type and a set of values, here always one.
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []any `asn1:"set"`
}

// signedData is the signature of an image that has this digest, as PKCS #7 in DER.
func signedData(digest []byte, key *rsa.PrivateKey, certificates []*x509.Certificate) ([]byte, error) {
	var all []byte
	for _, c := range certificates {
		all = append(all, c.Raw...)
	}
	var content indirectContent
	content.Data.Type, content.Data.Value = oidPEImage, peImageData
	content.Digest.Algorithm, content.Digest.Digest = algorithmOf(oidSHA256), digest
	attributes, err := signedAttributes(content)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(attributes)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, err
	}
	attributes[0] = 0xa0 // as a field they have an implicit tag; what is signed is a SET
	return asn1.Marshal(contentInfo{oidSignedData, pkcs7{
		Version: 1, Algorithms: []algorithm{algorithmOf(oidSHA256)}, Content: contentInfo{oidIndirectContent, content},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: all},
		Signers: []signer{{
			Version: 1, Issuer: issuer{asn1.RawValue{FullBytes: certificates[0].RawIssuer}, certificates[0].SerialNumber},
			Digest: algorithmOf(oidSHA256), Attributes: asn1.RawValue{FullBytes: attributes},
			Encryption: algorithmOf(oidRSA), Signature: signature,
		}},
	}})
}

// signedAttributes are the attributes that the key signs, as a SET in DER: the type of the content, and its digest, which does not cover
// the content's own tag and length.
func signedAttributes(content indirectContent) ([]byte, error) {
	der, err := asn1.Marshal(content)
	if err != nil {
		return nil, err
	}
	var inside asn1.RawValue
	if _, err := asn1.Unmarshal(der, &inside); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(inside.Bytes)
	return asn1.MarshalWithParams([]attribute{
		{oidContentType, []any{oidIndirectContent}},
		{oidMessageDigest, []any{sum[:]}},
	}, "set")
}
