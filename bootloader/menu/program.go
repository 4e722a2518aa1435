package menu

import (
	"debug/pe"
	"fmt"
	"io"
	"strings"

	"imprint/internal/tree"
)

// Limits of an EFI program that is looked at.
const (
	maxSection = 64 << 10 // bytes of a text in it
	maxHeader  = 1 << 20  // bytes that are read of it apart from texts
)

// maybeProgram is program for a directory in which there may be anything: what is no program is no problem.
func (r *reader) maybeProgram(file string, b tree.Blob) {
	known := len(r.problems)
	r.program(file, b)
	if len(r.entries) == 0 || r.entries[len(r.entries)-1].File != file {
		r.problems = r.problems[:known]
	}
}

// program adds an EFI program that holds a kernel (Boot Loader Specification, "Type #2"); others are no entries.
func (r *reader) program(file string, b tree.Blob) {
	content, err := b.Open()
	if err != nil {
		r.problem(file, err)
		return
	}
	defer content.Close()
	image, err := pe.NewFile(&bounded{content, maxHeader})
	if err != nil {
		r.problem(file, fmt.Errorf("no EFI program: %.200q", err.Error()))
		return
	}
	if image.Section(".linux") == nil {
		return
	}
	texts := [4]string{".cmdline", ".osrel", ".uname", ".sdmagic"}
	for i, name := range texts {
		if texts[i], err = section(content, b.Size(), image.Section(name)); err != nil {
			r.problem(file, fmt.Errorf("section %s: %w", name, err))
		}
	}
	r.add(Entry{File: file, Cmdline: texts[0], Title: prettyName(texts[1]), Version: texts[2], Loader: loaderInfo(texts[3])})
}

// loaderInfo is the name and version in what a stub says of itself (systemd, src/boot/efi/stub.c), "" for other texts.
func loaderInfo(text string) string {
	info, ok := strings.CutPrefix(strings.TrimRight(text, "# "), "#### LoaderInfo: ")
	if !ok {
		return ""
	}
	return info
}

// section is the text of a section, "" for none.
func section(image io.ReaderAt, size int64, s *pe.Section) (string, error) {
	if s == nil {
		return "", nil
	}
	n := min(s.VirtualSize, s.Size)
	if n > maxSection || int64(s.Offset)+int64(n) > size {
		return "", fmt.Errorf("%d bytes at byte %d of %d", n, s.Offset, size)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(image, int64(s.Offset), int64(n)), text); err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\x00\n "), nil
}

// prettyName is PRETTY_NAME of a text in the form of os-release(5).
func prettyName(text string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			words := scanner{text: value}
			if word, _ := words.next(); word != nil {
				return *word
			}
		}
	}
	return ""
}

// A bounded is content of which only so many bytes are read.
type bounded struct {
	io.ReaderAt
	left int
}

// ReadAt implements io.ReaderAt.
func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("more than %d bytes of headers", maxHeader)
	}
	return b.ReaderAt.ReadAt(p, off)
}
