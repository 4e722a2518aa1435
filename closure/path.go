package closure

import (
	"cmp"
	"fmt"
	"strings"
)

// A Path is a store path: the store directory, a slash, 32 base32 digits, a hyphen, and a name, such as
// "/nix/store/xp0dpr9yz5h0fk5c5lpj7zzqjbdh3w8c-hello-2.12". Paths are valid, since only ParsePath makes them, and comparable.
type Path struct{ text string }

const (
	hashDigits = 32
	maxName    = 211 // so that name, digits, hyphen and ".lock" fit into the 255 bytes of a file name (path.hh)
)

// ParsePath reads a store path of the flavor. The rules are those of Nix (path.cc), which Guix has too; it allows names that start with a dot, except that
// the character after the digits must be a hyphen. A path inside an item is an [*InsideError].
func (f Flavor) ParsePath(text string) (Path, error) {
	p, inside, _, err := f.parse(text)
	if err == nil && inside != "" {
		err = &InsideError{Text: text, Item: p}
	}
	if err != nil {
		return Path{}, err
	}
	return p, nil
}

// An InsideError reports a path inside an item, where the path of an item is needed.
type InsideError struct {
	Text string
	Item Path
}

// Error implements error.
func (e *InsideError) Error() string {
	return fmt.Sprintf("%s is inside the store item %s, not an item itself", quoted(e.Text), e.Item)
}

// parse splits a text into a store path and what follows it, starting with a slash. With an error it returns the index of the wrong byte.
func (f Flavor) parse(text string) (p Path, inside string, at int, err error) {
	base, ok := strings.CutPrefix(text, f.StoreDir+"/")
	if !ok {
		return Path{}, "", 0, fmt.Errorf("store path %.300q does not start with %s/%s", text, f.StoreDir, f.notOf(text))
	}
	base, inside, more := strings.Cut(base, "/")
	if more {
		inside = "/" + inside
	}
	if at, err = checkBase(base); err != nil {
		return Path{}, "", len(f.StoreDir) + 1 + at, err
	}
	return Path{text[:len(text)-len(inside)]}, inside, 0, nil
}

// checkBase checks the last element of a store path; at is the index of the wrong byte.
func checkBase(base string) (at int, err error) {
	if len(base) < hashDigits+1 {
		return 0, fmt.Errorf("store path name %.300q has %d characters; it must have %d digits, a hyphen and a name", base, len(base), hashDigits)
	}
	for i := range hashDigits {
		if !isDigit(base[i]) {
			return i, fmt.Errorf("store path name %.300q: %q is not a base32 digit (0-9, a-z without e, o, t and u)", base, base[i])
		}
	}
	if base[hashDigits] != '-' {
		return hashDigits, fmt.Errorf("store path name %.300q: %q follows the %d digits, not a hyphen", base, base[hashDigits], hashDigits)
	}
	at, err = checkName(base[hashDigits+1:])
	return at + hashDigits + 1, err
}

// checkName checks the name in a store path (path.cc, checkName); at is the index of the wrong byte.
func checkName(name string) (at int, err error) {
	switch {
	case name == "":
		return 0, fmt.Errorf("store path has an empty name")
	case len(name) > maxName:
		return maxName, fmt.Errorf("store path name %.40q… has %d characters after the digits, %d are allowed", name, len(name), maxName)
	}
	for i := range len(name) {
		if !isNameByte(name[i]) {
			return i, fmt.Errorf("store path name %.300q: %q is not one of a-z A-Z 0-9 + - . _ ? =", name, name[i])
		}
	}
	return 0, nil
}

func isFigure(c byte) bool { return '0' <= c && c <= '9' }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

// isDigit reports whether c is a digit of Nix base32, which leaves out four letters to make offensive words unlikely.
func isDigit(c byte) bool { return isFigure(c) || isLower(c) && !strings.ContainsRune("eotu", rune(c)) }

func isNameByte(c byte) bool {
	return isFigure(c) || isLower(c) || 'A' <= c && c <= 'Z' || strings.ContainsRune("+-._?=", rune(c))
}

// String returns the whole path.
func (p Path) String() string { return p.text }

// Base returns the last element of the path: digits, hyphen and name.
func (p Path) Base() string { return p.text[strings.LastIndexByte(p.text, '/')+1:] }

// Name returns the part after the digits and the hyphen, such as "hello-2.12".
func (p Path) Name() string { return p.Base()[hashDigits+1:] }

// IsDerivation reports whether the path is that of a derivation.
func (p Path) IsDerivation() bool { return strings.HasSuffix(p.text, ".drv") }

// Compare orders paths by their bytes.
func (p Path) Compare(q Path) int { return cmp.Compare(p.text, q.text) }

// MarshalText implements encoding.TextMarshaler.
func (p Path) MarshalText() ([]byte, error) { return []byte(p.text), nil }
