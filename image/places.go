package image

import (
	"fmt"
	"strconv"
	"strings"

	"imprint/internal/diag"
)

// places tells where each key of a description stands.
type places struct {
	file string
	root *place
}

// A place is where a key or an element of an array stands, and what lies below it. Line and column count from 1, the column in
// characters; the root has none.
type place struct {
	line, col int32
	header    bool // defined by a [header]
	keys      map[string]*place
	items     []*place // of an array, or of an array of tables
}

// lookup gives the place of a key path such as "partition[1].size", or of the nearest table around it that is there. found says
// whether it was the key itself.
func (p places) lookup(key string) (at diag.Place, found bool) {
	here := p.root
	for key != "" && here != nil {
		var below *place
		if below, key = here.step(key); below == nil {
			return here.in(p.file), false
		}
		here = below
	}
	if here == nil {
		return diag.Place{File: p.file}, false
	}
	return here.in(p.file), true
}

func (p *place) in(file string) diag.Place {
	return diag.Place{File: file, Line: int(p.line), Col: int(p.col)}
}

// step goes down by the first part of a key path and gives the rest of the path; the place is nil when there is none.
func (p *place) step(key string) (*place, string) {
	if index, ok := strings.CutPrefix(key, "["); ok {
		digits, rest, _ := strings.Cut(index, "]")
		i, err := strconv.Atoi(digits)
		if err != nil || i < 0 || i >= len(p.items) {
			return nil, ""
		}
		return p.items[i], strings.TrimPrefix(rest, ".")
	}
	if quoted, err := strconv.QuotedPrefix(key); err == nil {
		name, _ := strconv.Unquote(quoted)
		return p.keys[name], strings.TrimPrefix(key[len(quoted):], ".")
	}
	end := strings.IndexAny(key, ".[")
	if end < 0 {
		return p.keys[key], ""
	}
	return p.keys[key[:end]], strings.TrimPrefix(key[end:], ".")
}

// join appends a key to the path of the table it stands in; a key that is not bare (TOML 1.0, "Keys") is quoted.
func join(table, key string) string {
	bare := key != ""
	for i := range len(key) {
		bare = bare && isBare(key[i])
	}
	if !bare {
		key = strconv.Quote(key)
	}
	if table == "" {
		return key
	}
	return table + "." + key
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// child gives the place of a key below p, which is at when there was none.
func (p *place) child(key string, at *place) *place {
	if below := p.keys[key]; below != nil {
		return below
	}
	if p.keys == nil {
		p.keys = map[string]*place{}
	}
	// An array of tables is where its first header is; the header's own place is the element's.
	p.keys[key] = &place{line: at.line, col: at.col}
	return p.keys[key]
}

// last is the last element of an array of tables, which is what the name of the array means in a header; else p itself.
func (p *place) last() *place {
	if len(p.items) > 0 {
		return p.items[len(p.items)-1]
	}
	return p
}

// each visits all places at and below p with their key paths, of which p's is key.
func (p *place) each(key string, visit func(string, *place)) {
	visit(key, p)
	for name, below := range p.keys {
		below.each(join(key, name), visit)
	}
	for i, item := range p.items {
		item.each(fmt.Sprintf("%s[%d]", key, i), visit)
	}
}
