package image

import (
	"errors"
	"fmt"

	"imprint/closure"
	"imprint/closure/nar"
)

// ErrMismatch is matched by errors about contents that are not what their hash promises.
var ErrMismatch = errors.New("contents are not what was promised")

// A HashMismatch is an item whose content has another NAR hash than its registration.
type HashMismatch struct {
	Path              closure.Path
	Registered, Found nar.Digest
}

// Error implements error.
func (m *HashMismatch) Error() string {
	return fmt.Sprintf("%v has changed: its NAR hash is sha256:%s, but it is registered with sha256:%s",
		m.Path, nar.EncodeBase32(m.Found[:]), nar.EncodeBase32(m.Registered[:]))
}

// Unwrap makes it match ErrMismatch.
func (m *HashMismatch) Unwrap() error { return ErrMismatch }
