package keyed

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"imprint/internal/diag"
	"imprint/internal/tomlpos"
)

// MaxSource is the maximum length of a document in bytes.
const MaxSource = 16 << 20

// A syntaxError is an error of the text as a whole, or of its TOML syntax.
type syntaxError struct {
	line, col int // 0 for the text as a whole
	key       string
	diag.Mistake
}

// syntax reports an error of readTOML.
func (r *Reporter) syntax(err error) {
	var e syntaxError
	errors.As(err, &e)
	at := r.top.Position
	at.Line, at.Col = e.line, e.col
	r.Report(diag.Key{Path: e.key, Position: at}, e.Text, e.Hint)
}

// readTOML returns the tables of a document and the positions of its keys. The error is a syntaxError.
//
// The text is read twice: the library decodes it but keeps no positions, and tomlpos finds positions but decodes nothing.
// Positions come first, since its bounds on depth and number of keys keep the library from running out of memory or stack.
func readTOML(src []byte) (map[string]any, *tomlpos.Node, error) {
	if len(src) > MaxSource {
		return nil, nil, syntaxError{Mistake: diag.Mistake{Text: fmt.Sprintf("is %d bytes long, more than %d", len(src), MaxSource)}}
	}
	if bytes.HasPrefix(src, []byte("\xff\xfe")) || bytes.HasPrefix(src, []byte("\xfe\xff")) {
		return nil, nil, syntaxError{Mistake: diag.Mistake{Text: "is UTF-16", Hint: "save it as UTF-8"}}
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	doc, err := tomlpos.Locate(text)
	var limit *tomlpos.LimitError
	if errors.As(err, &limit) {
		return nil, nil, syntaxError{line: limit.Line, col: limit.Col, Mistake: diag.Mistake{Text: limit.Text}}
	}
	tables, err := decodeTOML(text)
	var wrong toml.ParseError
	switch {
	case err == nil:
		return tables, doc.Root, nil
	case !errors.As(err, &wrong):
		return nil, nil, syntaxError{Mistake: diag.Mistake{Text: err.Error()}}
	case doc.Twice != nil && strings.Contains(wrong.Message, "already"):
		return nil, nil, definedTwice(doc)
	}
	return nil, nil, inOurWords(text, wrong)
}

// decodeTOML is toml.Unmarshal, with a panic turned into an error: the text may be hostile.
func decodeTOML(text string) (tables map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parse TOML: %v", r)
		}
	}()
	err = toml.Unmarshal([]byte(text), &tables)
	return tables, err
}

// definedTwice is the error for a key that is defined twice. The library's own error points at the value, and does not say
// where the first definition is.
func definedTwice(doc tomlpos.Document) syntaxError {
	var key string
	for path, n := range doc.Root.All() {
		if n == doc.Twice.First {
			key = path
			break
		}
	}
	first, _ := doc.Twice.First.Pos()
	line, col := doc.Twice.Second.Pos()
	return syntaxError{line, col, key, diag.Mistake{Text: fmt.Sprintf("is already defined in line %d", first)}}
}

// inOurWords turns an error of the library into one of ours. The library reports an offset in bytes, from which line and
// column follow.
func inOurWords(text string, wrong toml.ParseError) syntaxError {
	before := text[:max(0, min(wrong.Position.Start, len(text)))]
	line := strings.Count(before, "\n") + 1
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	message := strings.TrimSuffix(wrong.Message, ".")
	if first, size := utf8.DecodeRuneInString(message); !strings.HasPrefix(message, "TOML") {
		message = strings.ToLower(string(first)) + message[size:]
	}
	return syntaxError{line: line, col: col, Mistake: diag.Mistake{Text: message}}
}
