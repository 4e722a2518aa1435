package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"imprint/internal/objects"
)

const version = "imprint recipe 1\n"

// Text returns the recipe as lines: the version, the size, then each content (digest, size, key if there is one), which begins with "structure" if
// it is that, then each run (offset, length, index of the content, offset in it).
func (r *Recipe) Text() []byte {
	b := fmt.Appendf([]byte(version), "size %d\n", r.Size)
	for _, c := range r.Contents {
		kind := "content"
		if c.Meta {
			kind = "structure"
		}
		b = fmt.Appendf(b, "%s %s %d", kind, objects.Text(c.Digest), c.Size)
		if c.Key != "" {
			b = append(append(b, ' '), c.Key...)
		}
		b = append(b, '\n')
	}
	for _, run := range r.Runs {
		b = fmt.Appendf(b, "run %d %d %d %d\n", run.Off, run.Len, run.Content, run.At)
	}
	return b
}

var errForm = errors.New("is no recipe of a disk")

// Parse is the inverse of [Recipe.Text].
func Parse(text []byte) (*Recipe, error) {
	rest, ok := bytes.CutPrefix(text, []byte(version))
	if !ok {
		return nil, errForm
	}
	r := &Recipe{}
	for line := range bytes.Lines(rest) {
		if err := r.line(strings.TrimSuffix(string(line), "\n")); err != nil {
			return nil, err
		}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.Text(), text) {
		return nil, errForm
	}
	return r, nil
}

// line adds a line.
func (r *Recipe) line(line string) error {
	fields := strings.Split(line, " ")
	switch {
	case fields[0] == "size" && len(fields) == 2:
		n, err := numbers(fields[1:])
		r.Size = n[0]
		return err
	case fields[0] == "content" && (len(fields) == 3 || len(fields) == 4), fields[0] == "structure" && len(fields) == 4:
		return r.content(fields)
	case fields[0] == "run" && len(fields) == 5:
		n, err := numbers(fields[1:])
		r.Runs = append(r.Runs, Run{n[0], n[1], int(n[2]), n[3]})
		return err
	}
	return errForm
}

func (r *Recipe) content(fields []string) error {
	d, err := objects.Parse(fields[1])
	if err != nil {
		return err
	}
	n, err := numbers(fields[2:3])
	c := Content{Digest: d, Size: n[0], Meta: fields[0] == "structure"}
	if len(fields) == 4 {
		key, bad := objects.Parse(fields[3])
		c.Key, err = objects.Text(key), errors.Join(err, bad)
	}
	r.Contents = append(r.Contents, c)
	return err
}

// numbers parses numbers of bytes, or indexes.
func numbers(fields []string) (list [4]int64, err error) {
	for i, f := range fields {
		n, bad := strconv.ParseInt(f, 10, 64)
		if bad != nil || n < 0 {
			return list, errForm
		}
		list[i] = n
	}
	return list, nil
}
