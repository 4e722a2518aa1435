// Package pattern matches paths in a tree with patterns as in .gitignore (gitignore(5)), except that there are no negated
// patterns ("!") and no comments ("#"):
//
//	*.pyc          a name, in any directory
//	/etc/motd      a path from the top of the tree; so is any pattern with a slash before its end, such as etc/motd
//	.git/          a directory, and nothing else of that name
//	/var/cache/*   everything in a directory, but not the directory
//	/home/**/tmp   ** between slashes matches any number of directories; at the end everything below
//
// Within a name, * matches any characters, ? any one, [a-z] one of a class and [!a-z] one outside of it; \ quotes the next
// character.
package pattern

import (
	"fmt"
	"path"
	"strings"
)

// maxLength is the maximum length of a pattern in bytes, that of a path in Linux (PATH_MAX).
const maxLength = 4096

// anyDirs is the part of a pattern that matches any number of names.
const anyDirs = "**"

// A Set is a set of patterns. The zero Set matches nothing.
type Set struct{ patterns []pattern }

type pattern struct {
	parts    []string // in the form of [path.Match], or anyDirs; from the top of the tree
	onlyDirs bool
}

// Parse parses patterns. The error describes the first invalid one.
func Parse(texts []string) (Set, error) {
	var s Set
	for _, text := range texts {
		p, err := parse(text)
		if err != nil {
			return Set{}, err
		}
		s.patterns = append(s.patterns, p)
	}
	return s, nil
}

func parse(text string) (pattern, error) {
	body, onlyDirs := strings.CutSuffix(text, "/")
	body, anchored := strings.CutPrefix(body, "/")
	switch {
	case len(text) > maxLength:
		return pattern{}, fmt.Errorf("pattern of %d bytes is longer than %d", len(text), maxLength)
	case body == "":
		return pattern{}, fmt.Errorf("pattern %q matches no path", text)
	case text[0] == '!':
		return pattern{}, fmt.Errorf("pattern %q begins with \"!\", which is not supported; write \"\\!\" for the character", text)
	}
	p := pattern{parts: strings.Split(body, "/"), onlyDirs: onlyDirs}
	for i, part := range p.parts {
		if part == "" || part == "." || part == ".." {
			return pattern{}, fmt.Errorf("pattern %q contains . or .. or an empty part", text)
		}
		p.parts[i] = class(part)
		if _, err := path.Match(p.parts[i], ""); err != nil {
			return pattern{}, fmt.Errorf("pattern %q has a [ without ], an empty class or a \\ at the end of a name", text)
		}
	}
	if !anchored && len(p.parts) == 1 {
		p.parts = []string{anyDirs, p.parts[0]}
	}
	return p, nil
}

// class converts the classes of a part to the syntax of [path.Match]: [!a] becomes [^a].
func class(part string) string {
	b := []byte(part)
	for i := 0; i+1 < len(b); i++ {
		switch {
		case b[i] == '\\':
			i++
		case b[i] == '[' && b[i+1] == '!':
			b[i+1] = '^'
		}
	}
	return string(b)
}

// Match reports whether a pattern matches a path below the top of the tree, such as "/etc/motd". dir says that it is a
// directory.
func (s Set) Match(name string, dir bool) bool {
	if len(s.patterns) == 0 || name == "/" {
		return false
	}
	names := strings.Split(strings.TrimPrefix(name, "/"), "/")
	for _, p := range s.patterns {
		if (dir || !p.onlyDirs) && p.match(names) {
			return true
		}
	}
	return false
}

// Covers reports whether a pattern matches a path or a directory above it.
func (s Set) Covers(name string, dir bool) bool {
	if len(s.patterns) == 0 {
		return false
	}
	for i := 1; i < len(name); i++ {
		if name[i] == '/' && s.Match(name[:i], true) {
			return true
		}
	}
	return s.Match(name, dir)
}

// match follows all possible matches at once: after each part, matched[i] says whether the parts so far match the first i
// names. The work is at most parts times names, for any pattern.
func (p pattern) match(names []string) bool {
	matched := make([]bool, len(names)+1)
	matched[0] = true
	for k, part := range p.parts {
		if part == anyDirs {
			spread(matched, k == len(p.parts)-1)
			continue
		}
		for i := len(names); i > 0; i-- {
			matched[i] = matched[i-1] && matches(part, names[i-1])
		}
		matched[0] = false
	}
	return matched[len(names)]
}

// spread lets anyDirs match any number of names, and at least one if it is the last part.
func spread(matched []bool, last bool) {
	some := false
	for i := range matched {
		before := some
		some = some || matched[i]
		matched[i] = some
		if last {
			matched[i] = before
		}
	}
}

func matches(part, name string) bool {
	ok, err := path.Match(part, name)
	return ok && err == nil
}
