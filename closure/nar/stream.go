package nar

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrTooLong is matched by the error of Copy for an archive that has more bytes than it may have.
var ErrTooLong = errors.New("the archive is longer than it should be")

// Copy copies one archive of at most limit bytes from a stream that goes on after it, and returns its length. It looks only at what shows where the archive
// ends.
func Copy(w io.Writer, r io.Reader, limit int64) (int64, error) {
	c := &copier{r: r, w: bufio.NewWriterSize(w, 64<<10), left: limit}
	err := c.expect("nix-archive-1")
	if err == nil {
		err = c.node(0)
	}
	if flush := c.w.Flush(); err == nil {
		err = flush
	}
	return limit - c.left, err
}

// A copier copies the words of an archive.
type copier struct {
	r    io.Reader
	w    *bufio.Writer
	left int64
	word [maxTarget + 8]byte // with its padding
}

// take copies the next n bytes, which are few, and returns them.
func (c *copier) take(n int64) ([]byte, error) {
	if c.left -= n; c.left < 0 {
		return nil, ErrTooLong
	}
	b := c.word[:n]
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	_, err := c.w.Write(b)
	return b, err
}

// length copies the length of a string.
func (c *copier) length() (int64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(c.left) {
		return 0, ErrTooLong
	}
	return int64(n), nil
}

// text copies a string of at most limit bytes.
func (c *copier) text(limit int64) (string, error) {
	n, err := c.length()
	if err != nil {
		return "", err
	}
	if n > limit {
		return "", fmt.Errorf("damaged: a text of %d bytes where at most %d are expected", n, limit)
	}
	b, err := c.take(n + -n&7)
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

func (c *copier) expect(words ...string) error {
	for _, want := range words {
		got, err := c.text(longestWord)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("damaged: %q is missing", want)
		}
	}
	return nil
}

// node copies what is between two brackets.
func (c *copier) node(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("damaged: more than %d directories in each other", maxDepth)
	}
	if err := c.expect("(", "type"); err != nil {
		return err
	}
	kind, err := c.text(longestWord)
	if err != nil {
		return err
	}
	switch kind {
	case "regular":
		err = c.file()
	case "symlink":
		if err = c.expect("target"); err == nil {
			_, err = c.text(maxTarget)
		}
	case "directory":
		return c.dir(depth)
	default:
		return fmt.Errorf("damaged: unknown type %q", kind)
	}
	if err != nil {
		return err
	}
	return c.expect(")")
}

func (c *copier) file() error {
	word, err := c.text(longestWord)
	if err == nil && word == "executable" {
		if err = c.expect(""); err == nil {
			word, err = c.text(longestWord)
		}
	}
	if err != nil {
		return err
	}
	if word != "contents" {
		return fmt.Errorf("damaged: %q where the contents of a file are expected", word)
	}
	n, err := c.length()
	if err != nil {
		return err
	}
	if n += -n & 7; n > c.left {
		return ErrTooLong
	}
	c.left -= n
	if _, err = io.CopyN(c.w, c.r, n); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (c *copier) dir(depth int) error {
	for {
		word, err := c.text(longestWord)
		switch {
		case err != nil:
			return err
		case word == ")":
			return nil
		case word != "entry":
			return fmt.Errorf("damaged: %q where an entry of a directory is expected", word)
		}
		if err := c.expect("(", "name"); err != nil {
			return err
		}
		if _, err := c.text(maxName); err != nil {
			return err
		}
		if err := c.expect("node"); err != nil {
			return err
		}
		if err := c.node(depth + 1); err != nil {
			return err
		}
		if err := c.expect(")"); err != nil {
			return err
		}
	}
}
