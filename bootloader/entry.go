package bootloader

import (
	"fmt"
	"slices"
	"strings"
)

// IDs returns a unique file name for each entry: that of its generation, or its title in lower case, reduced to letters and
// digits, with a number added to duplicates.
func IDs(entries []Entry) []string {
	ids, seen := make([]string, len(entries)), map[string]bool{}
	for i, e := range entries {
		if e.Generation != nil {
			ids[i] = e.Generation.ID()
			seen[strings.ToLower(ids[i])] = true
		}
	}
	for i, e := range entries {
		if e.Generation != nil {
			continue
		}
		base := slug(e.Title)
		id := base
		for n := 2; seen[id]; n++ {
			id = fmt.Sprintf("%s-%d", base, n)
		}
		ids[i], seen[id] = id, true
	}
	return ids
}

// slug turns a title into a file name. It is cut, so that names with a suffix fit into every file system.
func slug(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '_')
	})
	s := strings.Trim(strings.Join(words, "-"), ".-")
	if s == "" {
		return "entry"
	}
	return s[:min(len(s), 64)]
}

// A shelf is where a loader reads kernels and initrds: in copies in a directory of one partition, or where they are in the image. It
// collects the copies.
type shelf struct {
	partition Partition
	dir       string
	name      func(Source) string // of a copy; nil for the source's own
	inPlace   []Partition         // others that the loader reads; nil if everything is copied
	files     []File
}

// put returns the partition and the path at which the loader finds a kernel or initrd, after adding a copy if it needs one.
func (s *shelf) put(src Source) (Partition, string) {
	if p, ok := s.reads(src); ok {
		return p, src.Path
	}
	name := src.Name
	if s.name != nil {
		name = s.name(src)
	}
	f := File{s.partition.Name, s.dir + "/" + name, src.Content}
	if !slices.Contains(s.files, f) {
		s.files = append(s.files, f)
	}
	return s.partition, f.Path
}

// reads returns the partition in which the loader reads a file in place: its path has to need no quoting in any loader's configuration.
func (s *shelf) reads(src Source) (Partition, bool) {
	if src.Path == "" || strings.ContainsFunc(src.Path, func(r rune) bool { return !isPlain(r) && r != '?' }) {
		return Partition{}, false
	}
	if src.Partition == s.partition.Name {
		return s.partition, true
	}
	for _, p := range s.inPlace {
		if src.Partition == p.Name || src.Partition == "" && p.Store {
			return p, true
		}
	}
	return Partition{}, false
}

// isPlain reports whether a character is literal in the configuration of every loader.
func isPlain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_=+,.:/@%", r)
}

// putDir is put for a directory.
func (s *shelf) putDir(d DeviceTree) string {
	if _, ok := s.reads(d.Source); ok {
		return d.Path
	}
	for _, f := range d.Files {
		s.put(Source{Name: d.Name + f.Name, Content: f.Content})
	}
	return s.dir + "/" + d.Name
}
