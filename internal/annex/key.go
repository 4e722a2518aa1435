// Package annex finds files of git-annex: by a path in a repository, or by the key of a content. What is not there is got from where git-annex knows
// it to be, by git annex get.
//
// A key often has the hash of the content in it, so that it need not be computed.
package annex

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// A Key is the name of a content (https://git-annex.branchable.com/internals/key_format/): BACKEND[-sSIZE][-mMTIME][-SCHUNKSIZE-CCHUNK]--NAME.
type Key struct {
	Text    string
	Backend string
	Size    int64 // bytes; -1 if the key does not say
	Name    string
}

// longest is the length in bytes of the longest key: it is the name of a file.
const longest = 255

// ParseKey reads a key.
func ParseKey(text string) (Key, error) {
	k := Key{Text: text, Size: -1}
	fields, name, ok := strings.Cut(text, "--")
	wrong := fmt.Errorf("%.80q is no key of git-annex", text)
	if !ok || name == "" || len(text) > longest || strings.ContainsFunc(text, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }) {
		return Key{}, wrong
	}
	k.Name = name
	for i, field := range strings.Split(fields, "-") {
		switch {
		case i == 0:
			k.Backend = field
		case field == "" || !strings.Contains("smSC", field[:1]):
			return Key{}, wrong
		case field[0] == 's':
			n, err := strconv.ParseInt(field[1:], 10, 64)
			if err != nil || n < 0 {
				return Key{}, wrong
			}
			k.Size = n
		}
	}
	if k.Backend == "" || strings.ToUpper(k.Backend) != k.Backend || strings.Trim(k.Backend, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return Key{}, wrong
	}
	return k, nil
}

// SHA256 returns the SHA-256 of the content, if it is in the key: those of the backends SHA256 and SHA256E, whose names end in the suffix of the file.
func (k Key) SHA256() (sum [sha256.Size]byte, ok bool) {
	digits := k.Name
	switch k.Backend {
	case "SHA256E":
		digits, _, _ = strings.Cut(k.Name, ".")
	case "SHA256":
	default:
		return sum, false
	}
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(b), true
}

// pointer begins the file that stands for a content in a repository without symlinks (git-annex-unlock(1)).
const pointer = "/annex/objects/"

// keyOfLink returns the key that the target of a symlink leads to.
func keyOfLink(target string) (Key, bool) {
	if !strings.Contains("/"+target, pointer) {
		return Key{}, false
	}
	k, err := ParseKey(filepath.Base(target))
	return k, err == nil
}

// keyOfPointer returns the key in a file that stands for a content.
func keyOfPointer(text string) (Key, bool) {
	line, _, _ := strings.Cut(text, "\n")
	name, ok := strings.CutPrefix(line, pointer)
	if !ok {
		return Key{}, false
	}
	k, err := ParseKey(name)
	return k, err == nil
}
