package hosttool

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrMissing is matched by every [*MissingError].
var ErrMissing = errors.New("host tool is missing")

// A MissingError reports a program that the host does not have.
type MissingError struct {
	Tool    string
	Package string // the Debian package that has it, "" if unknown
}

// Error implements error.
func (e *MissingError) Error() string {
	s := fmt.Sprintf("find %s: no such program in PATH, %s", e.Tool, strings.Join(systemDirs, ", "))
	if e.Package != "" {
		s += "; Debian has it in the package " + e.Package
	}
	return s
}

// Is makes the error match ErrMissing.
func (e *MissingError) Is(target error) bool { return target == ErrMissing }

// An ExitError reports a program that did not end with exit code 0.
type ExitError struct {
	Argv   []string
	Code   int    // exit code, -1 when a signal ended it
	Status string // such as "exit status 1" or "signal: killed"
	Stderr string // the end of its standard error, or of all output if merged
}

// Error implements error: the command in one line, quoted for a shell, and then what the program wrote to standard error.
func (e *ExitError) Error() string {
	words := make([]string, len(e.Argv))
	for i, w := range e.Argv {
		words[i] = ShellWord(w)
	}
	s := fmt.Sprintf("run %s: %s", strings.Join(words, " "), e.Status)
	if said := strings.TrimSpace(e.Stderr); said != "" {
		s += "\n" + strings.ToValidUTF8(said, "?")
	}
	return s
}

// ShellWord quotes an argument that a shell would not take literally. Characters that a terminal does not show are escaped as in Go: such a word
// is for people, not for a shell.
func ShellWord(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=+,.:/@%^", r)
	}
	hidden := func(r rune) bool { return !strconv.IsPrint(r) }
	switch {
	case w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0:
		return w
	case !utf8.ValidString(w) || strings.IndexFunc(w, hidden) >= 0:
		return strconv.Quote(w)
	case strings.Contains(w, "'") && !strings.ContainsAny(w, "\"$`\\!"):
		return `"` + w + `"`
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
