package nar

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"

	"imprint/internal/tree"
)

// A Digest is the SHA-256 of a NAR.
type Digest = [sha256.Size]byte

// Hash returns the NAR hash of an item and the length of its NAR in bytes. It reads every file once.
func Hash(n *tree.Node) (Digest, int64, error) {
	h := hashers.Get().(*hasher)
	defer hashers.Put(h)
	h.sum.Reset()
	if err := Write(h.sum, n, h.copy); err != nil {
		return Digest{}, 0, err
	}
	var d Digest
	h.sum.Sum(d[:0])
	return d, Size(n), nil
}

type hasher struct {
	sum hash.Hash
	buf []byte
}

var hashers = sync.Pool{New: func() any { return &hasher{sha256.New(), make([]byte, 256<<10)} }}

// copy writes a file's content, whose length must be its size.
func (h *hasher) copy(w io.Writer, file *tree.Node) error {
	return tree.Copy(context.Background(), w, file.Inode().Blob(), h.buf)
}

// ParseHash reads a SHA-256 digest as stores and tools write it: 64 hexadecimal or 52 base32 digits, with or without the prefix "sha256:",
// or "sha256-" and standard base64 (SRI).
func ParseHash(text string) (Digest, error) {
	if b64, ok := strings.CutPrefix(text, "sha256-"); ok {
		b, err := base64.StdEncoding.Strict().DecodeString(b64)
		if err != nil || strings.ContainsAny(b64, "\r\n") {
			return Digest{}, fmt.Errorf("read hash %.80q: not base64", text)
		}
		return digest(text, b)
	}
	bare := strings.TrimPrefix(text, "sha256:")
	switch len(bare) {
	case hex.EncodedLen(sha256.Size):
		b, err := hex.DecodeString(bare)
		if err != nil || strings.ToLower(bare) != bare {
			return Digest{}, fmt.Errorf("read hash %q: not lower-case hexadecimal", text)
		}
		return digest(text, b)
	case EncodedLen(sha256.Size):
		b, err := DecodeBase32(bare)
		if err != nil {
			return Digest{}, fmt.Errorf("read hash: %v", err)
		}
		return digest(text, b)
	}
	return Digest{}, fmt.Errorf("read hash %.80q: %d digits; a SHA-256 has 64 (hexadecimal) or 52 (base32)", text, len(bare))
}

func digest(text string, b []byte) (Digest, error) {
	if len(b) != sha256.Size {
		return Digest{}, fmt.Errorf("read hash %.80q: %d bytes, a SHA-256 has %d", text, len(b), sha256.Size)
	}
	return Digest(b), nil
}
