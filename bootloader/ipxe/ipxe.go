// Package ipxe writes scripts for iPXE, which loads kernels and initrds over a network: a menu of entries whose files are beside the
// script.
package ipxe

import (
	"fmt"
	"slices"
	"strings"
)

// An Entry is one system to start.
type Entry struct {
	ID      string // unique: lower-case letters, digits and . _ -
	Title   string
	Kernel  string // name of the file, relative to the script
	Initrds []string
	Cmdline string
}

// Script returns a script that shows a menu for timeout seconds and then starts the entry with the index first; with a timeout of 0, at once.
// An entry whose command line iPXE would change is a comment that says why.
func Script(title string, entries []Entry, first int, timeout int64) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!ipxe")
	var list []Entry
	for i, e := range entries {
		if why := Changes(e.Cmdline); why != "" {
			line("# %s is not in this menu: its command line %s", words(e.Title), why)
			continue
		}
		if list = append(list, e); i == first {
			line("set entry %s", label(e))
		}
	}
	if timeout == 0 && first < len(entries) && slices.ContainsFunc(list, func(e Entry) bool { return e.ID == entries[first].ID }) {
		line("goto ${entry}")
	}
	line(":menu")
	line("menu %s", words(title))
	for _, e := range list {
		line("item %s %s", label(e), words(e.Title))
	}
	line("choose --default ${entry} --timeout %d entry && goto ${entry} || shell", 1000*timeout)
	for _, e := range list {
		b.WriteString(e.script())
	}
	return b.String()
}

// label is the place in the script where an entry begins.
func label(e Entry) string { return "start-" + e.ID }

// script returns the commands of an entry. A kernel that is an EFI program finds an initrd by its name on the command line (Linux,
// Documentation/admin-guide/efi-stub.rst); others ignore that.
func (e Entry) script() string {
	kernel := []string{"kernel", e.Kernel}
	for _, name := range e.Initrds {
		kernel = append(kernel, "initrd="+name)
	}
	if cmdline := strings.Trim(e.Cmdline, " "); cmdline != "" {
		kernel = append(kernel, cmdline)
	}
	text := fmt.Sprintf("\n:%s\n%s\n", label(e), strings.Join(kernel, " "))
	for _, name := range e.Initrds {
		text += "initrd " + name + "\n"
	}
	return text + "boot || goto menu\n"
}

// Changes says what iPXE would make of a command line, "" if it leaves it as it is. It has no quoting: words are separated by spaces, some
// are commands of its own, and ${NAME} is a setting wherever it is.
func Changes(cmdline string) string {
	for _, w := range strings.Fields(cmdline) {
		switch {
		case strings.HasPrefix(w, "#"):
			return "has a word that begins with #, which is a comment"
		case w == "||" || w == "&&" || w == ";":
			return "has the word " + w + ", which ends a command"
		}
	}
	switch {
	case strings.Contains(cmdline, "${"):
		return "has ${, which is for settings"
	case strings.HasSuffix(strings.TrimRight(cmdline, " "), `\`):
		return `ends with \, which continues a line`
	case strings.ContainsAny(cmdline, "\t\n\v\f\r\x00"):
		return "has a control character"
	}
	return ""
}

// words returns a title as iPXE shows it unchanged: without what would be a command, a comment or a setting.
func words(title string) string {
	title = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ReplaceAll(title, "${", "$ {"))
	list := slices.DeleteFunc(strings.Fields(title), func(w string) bool { return w == "||" || w == "&&" || w == ";" })
	for i, w := range list {
		if strings.HasPrefix(w, "#") || strings.HasPrefix(w, "--") && i == 0 {
			list[i] = "_" + w
		}
	}
	return strings.TrimRight(strings.Join(list, " "), `\`)
}
