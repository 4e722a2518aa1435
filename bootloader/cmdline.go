package bootloader

import (
	"fmt"
	"strings"

	"imprint/internal/diag"
)

// maxCmdline is how many bytes of a command line a kernel takes (Linux, COMMAND_LINE_SIZE without the NUL), by architecture.
var maxCmdline = map[string]int{"x86_64": 2047, "aarch64": 2047, "riscv64": 1023}

// CheckCmdline refuses a command line that would not reach a kernel for arch as it is written. The error may be a [diag.Mistake].
func (l *Loader) CheckCmdline(arch, text string) error {
	if i := strings.IndexAny(text, l.changes); i >= 0 {
		return diag.Mistake{Text: fmt.Sprintf("has a %c in it, %s", text[i], l.how)}
	}
	if err := l.checkComment(text); err != nil {
		return err
	}
	if most, ok := maxCmdline[arch]; ok && len(text) > most-l.room {
		return diag.Mistake{Text: fmt.Sprintf("is %d bytes long, and a kernel for %s reads %d with what the loader adds", len(text), arch, most)}
	}
	return nil
}

// CheckTitle refuses the title of an entry that the loader would not show.
func (l *Loader) CheckTitle(title string) error { return l.checkComment(title) }

func (l *Loader) checkComment(text string) error {
	if l.comment != "" && strings.HasPrefix(strings.TrimLeft(text, " "), l.comment) {
		return diag.Mistake{Text: fmt.Sprintf("begins with %s, which is a comment to %s", l.comment, l.reader)}
	}
	return nil
}

// Cmdline is a kernel command line with a console= for each console and further words added: in front of "--", after which all is for
// init (Linux, Documentation/admin-guide/kernel-parameters.rst).
func Cmdline(written string, consoles, words []string) string {
	kernel, init := written, ""
	if at := strings.Index(" "+kernel+" ", " -- "); at >= 0 {
		kernel, init = kernel[:at], kernel[at:]
	}
	line := []string{kernel}
	for _, console := range consoles {
		line = append(line, "console="+console)
	}
	line = append(append(line, words...), init)
	var parts []string
	for _, part := range line {
		if part = strings.Trim(part, " "); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

// RootWords are the words of a command line by which an initrd knows how to mount the root file system, besides root=. Where what root=
// names holds it as a file, path is that file's. Of a volatile one, changes stay in memory: it is read-only, under an overlay
// (kernel-command-line(7), systemd.volatile=).
func RootWords(path string, volatile bool) (words []string) {
	if path != "" {
		words = append(words, "imprint.image="+path)
	}
	if volatile {
		words = append(words, "systemd.volatile=overlay")
	}
	return words
}
