package closure

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"imprint/closure/nar"
	"imprint/internal/diag"
)

// Limits of a registration, so that a wrong file cannot fill the memory. The largest closures have tens of thousands of items.
const (
	maxItems      = 1 << 20
	maxReferences = 1 << 24 // of all items together
	maxLine       = 4 << 10 // bytes
)

// ParseRegistration reads the format of "nix-store --load-db", which "nix-store --dump-db" and nixpkgs' closureInfo write. An item is a line
// each for: store path; NAR hash, in any form that [nar.ParseHash] reads; length of the NAR in bytes; deriver, or an empty line; number of
// references; and each reference. The next item follows at once. The result is in the order of the text. Errors are a [diag.List] with the
// position in the file. An item may be repeated if it is the same.
func ParseRegistration(r io.Reader, file string, f Flavor) ([]*Info, error) {
	p := &registrationParser{in: bufio.NewReaderSize(r, maxLine), flavor: f, file: file, at: map[Path]int{}}
	for p.next() {
		if err := p.item(); err != nil {
			return nil, err
		}
	}
	if err := p.readError(); err != nil {
		return nil, err
	}
	return p.items, nil
}

type registrationParser struct {
	in         *bufio.Reader
	err        error // why there is no next line
	flavor     Flavor
	file       string
	line       int // of text, from 1 on
	text       string
	items      []*Info
	at         map[Path]int // index in items
	references int
}

// next goes to the next line, if there is one.
func (p *registrationParser) next() bool {
	var line []byte
	line, p.err = p.in.ReadSlice('\n')
	p.line++
	p.text = strings.TrimSuffix(string(line), "\n")
	return p.err == nil || p.err == io.EOF && len(line) > 0
}

// within goes to the next line, which must be there: an item has begun.
func (p *registrationParser) within() error {
	if p.next() {
		return nil
	}
	return cmp.Or(p.readError(), p.problem(0, fmt.Errorf("the file ends within an item")))
}

// readError is why there is no next line, or nil at the end of the file.
func (p *registrationParser) readError() error {
	switch p.err {
	case io.EOF:
		return nil
	case bufio.ErrBufferFull:
		return p.problem(maxLine, fmt.Errorf("line is longer than %d bytes", maxLine))
	default:
		return p.err // which names the file
	}
}

// problem is an error in the current line, at the byte with that index.
func (p *registrationParser) problem(at int, err error) error {
	return diag.List{{Position: diag.Position{File: p.file, Line: p.line, Col: at + 1}, Text: err.Error()}}
}

// item reads an item; its first line is the current one.
func (p *registrationParser) item() error {
	if len(p.items) == maxItems {
		return p.problem(0, fmt.Errorf("more than %d items", maxItems))
	}
	info := &Info{}
	for i, field := range []func(*Info) error{p.path, p.hash, p.size, p.deriver, p.referenceList} {
		if i > 0 {
			if err := p.within(); err != nil {
				return err
			}
		}
		if err := field(info); err != nil {
			return err
		}
	}
	return p.take(info)
}

func (p *registrationParser) path(info *Info) (err error) {
	info.Path, err = p.storePath()
	return err
}

// storePath reads the current line.
func (p *registrationParser) storePath() (Path, error) {
	path, inside, at, err := p.flavor.parse(p.text)
	if err == nil && inside != "" {
		at, err = len(path.text), &InsideError{p.text, path}
	}
	if err != nil {
		return Path{}, p.problem(at, err)
	}
	return path, nil
}

func (p *registrationParser) hash(info *Info) (err error) {
	if p.text == "" {
		return p.problem(0, fmt.Errorf("no NAR hash: this looks like a graph of references; use the registration file of nixpkgs' closureInfo"))
	}
	if info.NARHash, err = nar.ParseHash(p.text); err != nil {
		return p.problem(0, err)
	}
	return nil
}

func (p *registrationParser) size(info *Info) error {
	n, err := strconv.ParseInt(p.text, 10, 64)
	if err != nil || n <= 0 {
		return p.problem(0, fmt.Errorf("NAR size %.40q is not a positive number of bytes", p.text))
	}
	info.NARSize = n
	return nil
}

func (p *registrationParser) deriver(info *Info) error {
	if p.text == "" {
		return nil
	}
	path, err := p.storePath()
	info.Deriver = path.String()
	return err
}

func (p *registrationParser) referenceList(info *Info) error {
	n, err := strconv.ParseUint(p.text, 10, 31)
	if err != nil {
		return p.problem(0, fmt.Errorf("number of references %.40q is not a number", p.text))
	}
	if p.references += int(n); p.references > maxReferences {
		return p.problem(0, fmt.Errorf("more than %d references", maxReferences))
	}
	for range n {
		if err := p.within(); err != nil {
			return err
		}
		path, err := p.storePath()
		if err != nil {
			return err
		}
		info.References = append(info.References, path)
	}
	slices.SortFunc(info.References, Path.Compare)
	info.References = slices.Compact(info.References)
	return nil
}

func (p *registrationParser) take(info *Info) error {
	if i, again := p.at[info.Path]; again {
		if !reflect.DeepEqual(p.items[i], info) {
			return p.problem(0, fmt.Errorf("%s is registered twice, with different data", info.Path))
		}
		return nil
	}
	p.at[info.Path] = len(p.items)
	p.items = append(p.items, info)
	return nil
}
