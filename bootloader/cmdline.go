package bootloader

import (
	"fmt"
	"slices"
	"strings"

	"imprint/internal/diag"
)

// maxCmdline is the length in bytes of the longest command line of a kernel (Linux, COMMAND_LINE_SIZE less the NUL), by
// architecture. The kernel silently cuts longer ones.
var maxCmdline = map[string]int{"x86_64": 2047, "aarch64": 2047, "riscv64": 1023}

// CheckCmdline reports a command line that would not reach a kernel for arch unchanged. The error may be a [diag.Mistake].
func (l *Loader) CheckCmdline(arch, text string) error {
	if i := strings.IndexAny(text, l.changes); i >= 0 {
		return diag.Mistake{Text: fmt.Sprintf("contains a %c, %s", text[i], l.how)}
	}
	if err := l.checkComment(text); err != nil {
		return err
	}
	if most, ok := maxCmdline[arch]; ok && len(text) > most-l.room {
		return diag.Mistake{Text: fmt.Sprintf("is %d bytes long, but a kernel for %s reads %d, of which the loader needs some", len(text), arch, most)}
	}
	return nil
}

// CheckTitle reports a title of an entry that the loader would not show.
func (l *Loader) CheckTitle(title string) error { return l.checkComment(title) }

func (l *Loader) checkComment(text string) error {
	if l.comment != "" && strings.HasPrefix(strings.TrimLeft(text, " "), l.comment) {
		return diag.Mistake{Text: fmt.Sprintf("begins with %s, which starts a comment for %s", l.comment, l.reader)}
	}
	return nil
}

// Cmdline adds a console= for each console, and further words, to a kernel command line. They go before "--", after which
// everything is for init (Linux, Documentation/admin-guide/kernel-parameters.rst).
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

// mounts are the words of a command line that say how to mount the root file system.
var mounts = []string{"root", "rootfstype", "rootflags", "rootwait", "rootdelay", "imprint.image", "systemd.volatile"}

// InMemory returns a command line for a kernel whose initrd is the whole root file system: the kernel starts init in it, and there is
// nothing to mount. Without init= it is /sbin/init.
func InMemory(cmdline string) string {
	init, kernel, rest := "/sbin/init", cmdline, ""
	if at := strings.Index(" "+kernel+" ", " -- "); at >= 0 {
		kernel, rest = kernel[:at], " "+kernel[at:]
	}
	var words []string
	for _, word := range strings.FieldsFunc(kernel, func(r rune) bool { return r == ' ' }) {
		switch key, value, _ := strings.Cut(word, "="); {
		case key == "init":
			init = value
		case !slices.Contains(mounts, key):
			words = append(words, word)
		}
	}
	return strings.Join(append(words, "rdinit="+init), " ") + rest
}

// RootWords returns the words of a command line, besides root=, that tell an initrd how to mount the root file system. If it
// is a file on what root= names, path is its path. A volatile one is mounted read-only, below an overlay in memory
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
