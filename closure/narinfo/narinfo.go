// Package narinfo reads and writes the text files of binary caches: those about store items, with signatures (.narinfo, nar-info.cc), and the one
// about the cache (nix-cache-info, binary-cache-store.cc).
package narinfo

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"imprint/closure/nar"
)

// An Info describes a store item and the file of the cache with its archive. Paths are as in the text, unchecked.
type Info struct {
	StorePath   string
	URL         string // of the file, relative to the cache
	Compression string // of the file: "none", "xz"…
	FileHash    *nar.Digest
	FileSize    int64 // 0 if unknown
	NARHash     nar.Digest
	NARSize     int64
	References  []string // base names
	Deriver     string   // base name; "" if unknown
	Sigs        []string // each as "key:base64"
	CA          string   // content address; "" for none

	Others    []File // further files with the same archive, in other compressions: Guix lists several
	Signature string // of Guix: "1;host;base64", for the text above it
	above     string // that text
	covered   bool   // whether that has all that matters
}

// A File is a file of a cache with an archive.
type File struct {
	URL, Compression string
	FileHash         *nar.Digest
	FileSize         int64
}

// Choose makes the file that ranks highest that of the Info, the first one of several.
func (i *Info) Choose(rank func(compression string) int) {
	best := File{i.URL, i.Compression, i.FileHash, i.FileSize}
	for _, f := range i.Others {
		if rank(f.Compression) > rank(best.Compression) {
			best = f
		}
	}
	i.URL, i.Compression, i.FileHash, i.FileSize = best.URL, best.Compression, best.FileHash, best.FileSize
}

// Limits of texts.
const (
	MaxSize  = 4 << 20 // bytes of a text
	maxSigs  = 1000
	maxFiles = 20
)

// Parse reads a text of at most MaxSize bytes. Unknown keys are ignored, as Nix does.
func Parse(text string) (*Info, error) {
	p := parser{info: &Info{}, seen: map[string]bool{}}
	at := 0
	for n, line := range lines(text) {
		key, value, err := split(line)
		if err == nil && key == "Signature" {
			p.info.above, p.info.covered = text[:at], p.seen["StorePath"] && p.seen["NarHash"] && p.seen["NarSize"] && p.seen["References"]
		}
		if err == nil {
			err = p.take(key, value)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %v", n, err)
		}
		at += len(line) + 1
	}
	for _, key := range []string{"StorePath", "URL", "NarHash", "NarSize"} {
		if !p.seen[key] {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	if p.info.Compression == "" {
		p.info.Compression = "bzip2" // the default, from the time before there was a key
	}
	return p.info, nil
}

// lines yields the lines of a text with their numbers from 1. The last one may lack its line feed.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for n := 1; text != ""; n++ {
			var line string
			if line, text, _ = strings.Cut(text, "\n"); !yield(n, line) {
				return
			}
		}
	}
}

// split returns the key and the value of a line. A value may be empty.
func split(line string) (key, value string, err error) {
	key, value, ok := strings.Cut(line, ":")
	if !ok || key == "" {
		return "", "", fmt.Errorf("%.60q is not a key, a colon and a value", line)
	}
	return key, strings.TrimPrefix(value, " "), nil
}

type parser struct {
	info *Info
	seen map[string]bool
}

// fields are the known keys. Each but Sig may occur once.
var fields = map[string]func(i *Info, value string) error{
	"StorePath":   func(i *Info, v string) error { i.StorePath = v; return nil },
	"URL":         func(i *Info, v string) error { i.URL = v; return nil },
	"Compression": func(i *Info, v string) error { i.Compression = v; return nil },
	"FileHash":    (*Info).fileHash,
	"FileSize":    func(i *Info, v string) error { return size(&i.FileSize, v) },
	"NarHash":     (*Info).narHash,
	"NarSize":     func(i *Info, v string) error { return size(&i.NARSize, v) },
	"References":  func(i *Info, v string) error { i.References = strings.Fields(v); return nil },
	"Deriver":     (*Info).deriver,
	"Sig":         (*Info).sig,
	"CA":          func(i *Info, v string) error { i.CA = v; return nil },
	"Signature":   func(i *Info, v string) error { i.Signature = v; return nil },
}

func (p *parser) take(key, value string) error {
	field := fields[key]
	if field == nil {
		return nil
	}
	if key == "URL" && p.seen[key] && p.info.Signature != "" {
		if err := p.another(); err != nil {
			return err
		}
	}
	if p.seen[key] && key != "Sig" {
		return fmt.Errorf("%s is defined twice", key)
	}
	p.seen[key] = true
	if err := field(p.info, value); err != nil {
		return fmt.Errorf("%s: %v", key, err)
	}
	return nil
}

// another begins the fields of a further file.
func (p *parser) another() error {
	i := p.info
	if len(i.Others) == maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	i.Others = append(i.Others, File{i.URL, i.Compression, i.FileHash, i.FileSize})
	i.Compression, i.FileHash, i.FileSize = "", nil, 0
	for _, key := range []string{"URL", "Compression", "FileHash", "FileSize"} {
		delete(p.seen, key)
	}
	return nil
}

func (i *Info) narHash(value string) (err error) {
	i.NARHash, err = nar.ParseHash(value)
	return err
}

func (i *Info) fileHash(value string) error {
	d, err := nar.ParseHash(value)
	i.FileHash = &d
	return err
}

// deriver reads the base name of a derivation. Hydra writes "unknown-deriver" if it does not know it.
func (i *Info) deriver(value string) error {
	if value != "unknown-deriver" {
		i.Deriver = value
	}
	return nil
}

func (i *Info) sig(value string) error {
	if len(i.Sigs) == maxSigs {
		return fmt.Errorf("more than %d signatures", maxSigs)
	}
	i.Sigs = append(i.Sigs, value)
	return nil
}

// size parses a number of bytes.
func size(n *int64, value string) error {
	v, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return fmt.Errorf("%.40q is not a number of bytes", value)
	}
	*n = int64(v)
	return nil
}

// String returns the text, as Nix writes it.
func (i *Info) String() string {
	var b strings.Builder
	line := func(key, value string) { b.WriteString(key + ": " + value + "\n") }
	line("StorePath", i.StorePath)
	line("URL", i.URL)
	line("Compression", i.Compression)
	if i.FileHash != nil {
		line("FileHash", hash(*i.FileHash))
	}
	if i.FileSize > 0 {
		line("FileSize", strconv.FormatInt(i.FileSize, 10))
	}
	line("NarHash", hash(i.NARHash))
	line("NarSize", strconv.FormatInt(i.NARSize, 10))
	line("References", strings.Join(i.References, " "))
	if i.Deriver != "" {
		line("Deriver", i.Deriver)
	}
	for _, s := range i.Sigs {
		line("Sig", s)
	}
	if i.CA != "" {
		line("CA", i.CA)
	}
	return b.String()
}

func hash(d nar.Digest) string { return "sha256:" + nar.EncodeBase32(d[:]) }
