package image

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"imprint/internal/diag"
)

// MaxSource bounds the length of a description in bytes.
const MaxSource = 16 << 20

// Parse reads a description in TOML and looks at nothing but its text. file is its name in diagnostics. The error is a diag.List of
// every mistake that can be told from the text alone.
func Parse(file string, src []byte) (*Description, error) {
	tables, root, problem := readTOML(file, src)
	if problem != nil {
		return nil, diag.List{*problem}
	}
	d := &Description{places: places{file: file, root: root}}
	c := &checker{d: d, told: map[string]bool{}}
	c.table("", tables, reflect.ValueOf(d).Elem())
	c.validate()
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// Place gives where a key such as "partition[1].size" stands, or where the table stands that lacks it.
func (d *Description) Place(key string) diag.Place {
	at, _ := d.places.lookup(key)
	return at
}

// Problem is a mistake at a key, for the stages after Parse. The hint may be empty.
func (d *Description) Problem(key, text, hint string) diag.Problem {
	return diag.Problem{Place: d.Place(key), Key: key, Text: text, Hint: hint}
}

// has tells whether a key was written.
func (d *Description) has(key string) bool {
	_, found := d.places.lookup(key)
	return found
}

// readTOML gives the tables of a document and the places of its keys, or what is wrong with it.
func readTOML(file string, src []byte) (map[string]any, *place, *diag.Problem) {
	whole := func(text, hint string) *diag.Problem {
		return &diag.Problem{Place: diag.Place{File: file}, Text: text, Hint: hint}
	}
	if len(src) > MaxSource {
		return nil, nil, whole(fmt.Sprintf("is %d bytes long, more than %d", len(src), MaxSource), "")
	}
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		return nil, nil, whole("is UTF-16", "save it as UTF-8")
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	root, l := locate(text)
	if l.deep != nil {
		return nil, nil, &diag.Problem{Place: l.deep.in(file), Text: fmt.Sprintf("nests deeper than %d levels", maxDepth)}
	}
	tables, err := decodeTOML(text)
	if err == nil {
		return tables, root, nil
	}
	var syntax toml.ParseError
	switch {
	case !errors.As(err, &syntax):
		return nil, nil, whole(err.Error(), "")
	case l.twice != nil && strings.Contains(syntax.Message, "already"):
		return nil, nil, duplicateProblem(file, root, l.twice)
	}
	return nil, nil, syntaxProblem(file, text, syntax)
}

// decodeTOML is toml.Unmarshal, with a panic of it turned into an error.
func decodeTOML(text string) (tables map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parse TOML: %v", r)
		}
	}()
	err = toml.Unmarshal([]byte(text), &tables)
	return tables, err
}

// duplicateProblem tells that a key is defined twice; the parser would point at the value, and leave out the first place.
func duplicateProblem(file string, root *place, twice *duplicate) *diag.Problem {
	var key string
	root.each("", func(path string, p *place) {
		if p == twice.first {
			key = path
		}
	})
	return &diag.Problem{Place: twice.second.in(file), Key: key, Text: fmt.Sprintf("is defined already, in line %d", twice.first.line)}
}

// syntaxProblem tells an error of the TOML parser in our words, at the character it is about.
func syntaxProblem(file, text string, syntax toml.ParseError) *diag.Problem {
	before := text[:max(0, min(syntax.Position.Start, len(text)))]
	line := strings.Count(before, "\n") + 1
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	first, size := utf8.DecodeRuneInString(syntax.Message)
	message := strings.ToLower(string(first)) + strings.TrimSuffix(syntax.Message[size:], ".")
	return &diag.Problem{Place: diag.Place{File: file, Line: line, Col: col}, Text: message}
}
