package framed

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A Stream reads numbers and strings from a stream.
type Stream struct {
	r  io.Reader
	at int64 // bytes read so far
}

// NewStream returns a Stream of r, which should be buffered.
func NewStream(r io.Reader) *Stream { return &Stream{r: r} }

// Errorf returns a FormatError at the offset of the next byte.
func (s *Stream) Errorf(format string, args ...any) error {
	return &FormatError{s.at, fmt.Sprintf(format, args...)}
}

// Read implements io.Reader: it returns bytes as they are.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.at += int64(n)
	return n, err
}

// Number reads a number.
func (s *Stream) Number() (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(s, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// String reads a string of at most limit bytes.
func (s *Stream) String(limit int) (string, error) {
	n, err := s.Number()
	if err != nil {
		return "", err
	}
	if n > uint64(limit) {
		return "", s.Errorf("a text of %d bytes where at most %d are expected", n, limit)
	}
	b := make([]byte, n+-n&7)
	if _, err := io.ReadFull(s, b); err != nil {
		return "", err
	}
	for _, c := range b[n:] {
		if c != 0 {
			return "", s.Errorf("its padding is not zero")
		}
	}
	return string(b[:n]), nil
}

// Strings reads a number and so many strings, which have at most limit bytes together.
func (s *Stream) Strings(limit int) ([]string, error) {
	n, err := s.Number()
	if err != nil {
		return nil, err
	}
	if n > uint64(limit/8) {
		return nil, s.Errorf("%d texts where at most %d are expected", n, limit/8)
	}
	var list []string
	for range n {
		text, err := s.String(limit)
		if err != nil {
			return nil, err
		}
		limit -= len(text)
		list = append(list, text)
	}
	return list, nil
}
