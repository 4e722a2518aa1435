package closure

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"imprint/closure/nar"
	"imprint/internal/diag"
)

// Limits of a registration, so that a wrong file cannot fill the memory. The largest closures have tens of thousands of items.
const (
	maxItems      = 1 << 20   // repetitions included
	maxReferences = 1 << 24   // of all items together
	maxLine       = 4 << 10   // bytes
	maxText       = 512 << 20 // bytes of the file
	maxNARSize    = 1 << 42   // bytes, so that the sum over all items is less than 2^63
)

// ParseRegistration reads the format of "nix-store --load-db", which "nix-store --dump-db" and nixpkgs' closureInfo write. An item is a line
// each for: store path; NAR hash, in any form that [nar.ParseHash] reads; length of the NAR in bytes; deriver, or an empty line; number of
// references; and each reference. The next item follows at once. The result is in the order of the text. Errors are a [diag.List] with the
// position in the file. An item may be repeated if it is the same.
//
// A graph of references, as exportReferencesGraph of Nix and #:references-graphs of Guix write it, is the same without the lines for hash and
// length: see [RegisteredStore]. Then NARSize is 0.
func ParseRegistration(r io.Reader, file string, f Flavor) ([]*Info, error) {
	p := &registrationParser{in: bufio.NewReaderSize(r, maxLine), flavor: f, file: file, at: map[Path]int{}, known: map[string]Path{}}
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
	err        error // of reading the next line
	flavor     Flavor
	file       string
	line       int // of text, from 1 on
	text       string
	bytes      int // read so far
	items      []*Info
	at         map[Path]int    // index in items
	known      map[string]Path // one copy of each: most are referred to more than once
	graph      bool            // the items have no hash and no length, as the first one decides
	records    int
	references int
}

// next reads the next line, if there is one.
func (p *registrationParser) next() bool {
	var line []byte
	line, p.err = p.in.ReadSlice('\n')
	p.line++
	p.bytes += len(line)
	p.text = strings.TrimSuffix(string(line), "\n")
	return p.err == nil || p.err == io.EOF && len(line) > 0
}

// within reads the next line, which must exist, since an item has begun.
func (p *registrationParser) within() error {
	if p.next() {
		return nil
	}
	return cmp.Or(p.readError(), p.problem(0, fmt.Errorf("the file ends within an item")))
}

// readError returns why there is no next line, nil at the end of the file.
func (p *registrationParser) readError() error {
	switch p.err {
	case io.EOF:
		return nil
	case bufio.ErrBufferFull:
		return p.problem(maxLine, fmt.Errorf("line is longer than %d bytes", maxLine))
	default:
		var known *fs.PathError // which names the file
		if errors.As(p.err, &known) {
			return p.err
		}
		return fmt.Errorf("read %s: %w", p.file, p.err)
	}
}

// problem reports an error at a byte of the current line.
func (p *registrationParser) problem(at int, err error) error {
	return diag.List{{Position: diag.Position{File: p.file, Line: p.line, Col: at + 1}, Text: err.Error()}}
}

// item reads an item; its first line is the current one.
func (p *registrationParser) item() error {
	if p.records++; p.records > maxItems {
		return p.problem(0, fmt.Errorf("more than %d items", maxItems))
	}
	if p.bytes > maxText {
		return p.problem(0, fmt.Errorf("the file has more than %d MiB", maxText>>20))
	}
	info := &Info{}
	if err := p.path(info); err != nil {
		return err
	}
	if err := p.within(); err != nil {
		return err
	}
	if p.records == 1 { // a graph goes on with the deriver
		p.graph = p.text == "" || strings.HasPrefix(p.text, p.flavor.StoreDir+"/")
	}
	for i, field := range p.fields() {
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

// fields returns what reads the lines after the path.
func (p *registrationParser) fields() []func(*Info) error {
	if p.graph {
		return []func(*Info) error{p.deriver, p.referenceList}
	}
	return []func(*Info) error{p.hash, p.size, p.deriver, p.referenceList}
}

func (p *registrationParser) path(info *Info) (err error) {
	info.Path, err = p.storePath()
	return err
}

// storePath reads the current line.
func (p *registrationParser) storePath() (Path, error) {
	if path, ok := p.known[p.text]; ok {
		return path, nil
	}
	path, inside, at, err := p.flavor.parse(p.text)
	if err == nil && inside != "" {
		at, err = len(path.text), &InsideError{p.text, path}
	}
	if err != nil {
		return Path{}, p.problem(at, err)
	}
	p.known[path.text] = path
	return path, nil
}

func (p *registrationParser) hash(info *Info) (err error) {
	if info.NARHash, err = nar.ParseHash(p.text); err != nil {
		return p.problem(0, err)
	}
	return nil
}

func (p *registrationParser) size(info *Info) error {
	n, err := strconv.ParseInt(p.text, 10, 64)
	if err != nil || n <= 0 || n > maxNARSize {
		return p.problem(0, fmt.Errorf("NAR size %.40q is not a number of bytes from 1 to %d", p.text, int64(maxNARSize)))
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

// referenceList reads the number of references and then the references, and sorts them: their order in the file has no meaning.
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

// take adds a complete item. An item may occur again, in files that were concatenated.
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
