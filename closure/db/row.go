package db

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
)

// Limits of the texts of a row in bytes. A reference, a deriver or an output is a path; a signature has about a hundred bytes.
const (
	maxPath = 512
	maxSigs = 16 << 10
	maxCA   = 512

	maxNARSize = 1 << 42   // so that a million items have fewer than 2^63
	maxText    = 256 << 20 // of all items that are read together
)

// A pathRow is a row of ValidPaths as the database has it. The texts are SQLite's memory until the next step.
type pathRow struct {
	path, hash, deriver, sigs, ca []byte
	size                          int64 // 0 unless it is an integer
}

// A reader makes items of rows. It keeps one copy of each path: most are referred to more than once.
type reader struct {
	texts map[string]string
	bytes int // of all that it has kept
}

// item checks the row of a path. It refuses only values that no store can have.
func (r *reader) item(row pathRow, path string) (*Item, error) {
	if string(row.path) != path {
		return nil, invalid("its index leads to the row of %.100q", row.path)
	}
	hash, err := parseHash(row.hash)
	if err != nil {
		return nil, err
	}
	if row.size <= 0 || row.size > maxNARSize {
		return nil, invalid("registered with the NAR size %d", row.size)
	}
	item := &Item{Path: path, NARHash: hash, NARSize: row.size}
	var sigs string
	for _, t := range []struct {
		to   *string
		from []byte
		what string
		most int
	}{{&item.Deriver, row.deriver, "deriver", maxPath}, {&sigs, row.sigs, "sigs", maxSigs}, {&item.CA, row.ca, "ca", maxCA}} {
		if *t.to, err = r.text(t.from, t.what, t.most); err != nil {
			return nil, err
		}
	}
	if sigs != "" {
		item.Sigs = strings.Split(sigs, " ")
	}
	return item, nil
}

// reference adds a row of Refs.
func (r *reader) reference(item *Item, path []byte) error {
	text, err := r.shared(path, "reference")
	if err != nil {
		return err
	}
	item.References = append(item.References, text)
	return r.keep(16)
}

// output adds a row of DerivationOutputs.
func (r *reader) output(item *Item, id, path []byte) error {
	name, err := r.shared(id, "output")
	if err != nil {
		return err
	}
	text, err := r.text(path, "path of output "+name, maxPath)
	item.Outputs = append(item.Outputs, Output{name, text})
	return err
}

// finish sorts references and outputs. An output that is there twice cannot be registered in an image.
func (item *Item) finish() error {
	slices.Sort(item.References)
	item.References = slices.Compact(item.References)
	slices.SortFunc(item.Outputs, func(a, b Output) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(item.Outputs); i++ {
		if item.Outputs[i].ID == item.Outputs[i-1].ID {
			return invalid("output %q is registered twice", item.Outputs[i].ID)
		}
	}
	return nil
}

// text copies a text that may be NULL.
func (r *reader) text(b []byte, what string, most int) (string, error) {
	if len(b) > most {
		return "", invalid("%s has %d bytes, more than %d", what, len(b), most)
	}
	if err := r.keep(len(b)); err != nil {
		return "", err
	}
	return string(b), nil
}

// shared is text for a value that other rows have too.
func (r *reader) shared(b []byte, what string) (string, error) {
	if text, ok := r.texts[string(b)]; ok {
		return text, nil
	}
	text, err := r.text(b, what, maxPath)
	if err == nil {
		r.texts[text] = text
	}
	return text, err
}

func (r *reader) keep(bytes int) error {
	if r.bytes += bytes; r.bytes > maxText {
		return invalid("the items have more than %d MiB of text", maxText>>20)
	}
	return nil
}

// parseHash parses a hash in the only form that Nix and Guix write.
func parseHash(text []byte) (hash [32]byte, err error) {
	digits, ok := strings.CutPrefix(string(text[:min(len(text), 100)]), "sha256:")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != len(hash) {
		return hash, invalid(`NAR hash %.80q: not "sha256:" and 64 hexadecimal digits`, text)
	}
	return [32]byte(b), nil
}
